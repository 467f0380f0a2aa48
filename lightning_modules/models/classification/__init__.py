"""Classifiers: one builder function per architecture."""
