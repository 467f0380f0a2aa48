"""A trained network as an MLflow model: packed with its code, loaded and asked without this project."""
