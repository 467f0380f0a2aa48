"""The life of a run: compose, validate, build, fit, evaluate, predict. Hydra and MLflow stop here."""
