"""Measures of boxes and masks: plain numpy of judged images in, numbers out."""
