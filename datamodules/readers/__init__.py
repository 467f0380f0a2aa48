"""Data sets in their own formats, read into arrays."""
