"""Losses: tensors in, number out."""
