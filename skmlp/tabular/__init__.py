"""Tables: raw frames of numbers and categories, and what networks see of them."""
