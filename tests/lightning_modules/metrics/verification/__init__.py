"""Tests of the measures of embeddings."""
