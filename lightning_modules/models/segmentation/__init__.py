"""Networks that give a class to each pixel, one file for each family."""
