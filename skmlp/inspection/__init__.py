"""Seeing and explaining: pictures of what a network learned, and why it answers as it does."""
