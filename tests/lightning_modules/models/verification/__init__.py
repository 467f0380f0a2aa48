"""Tests of verifiers."""
