"""The data every installation has."""
