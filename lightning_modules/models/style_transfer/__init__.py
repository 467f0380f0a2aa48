"""Style transfer: frozen features that judge a picture, and what paints one by them."""
