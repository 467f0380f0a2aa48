"""Measures of embeddings: whose images are alike, and how sure one can be of it."""
