"""Measurements of speed, run by `make bench`: no tests, but each fails where its bound is broken."""
