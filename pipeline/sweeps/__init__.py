"""Sweeps: many runs of one command that differ in a few values."""
