"""Tests of segmenters."""
