"""Tables: networks for raw data frames."""
