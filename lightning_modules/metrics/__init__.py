"""Measures: tensors in, number out."""
