"""Tests of the measures of boxes and masks."""
