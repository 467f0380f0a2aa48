"""Verifiers: a network that embeds images, and a loss that draws those of one identity together."""
