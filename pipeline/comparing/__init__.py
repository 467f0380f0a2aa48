"""Runs side by side: read, grouped, ordered, told apart from chance, and shown."""
