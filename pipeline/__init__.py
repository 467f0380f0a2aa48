"""The life of a run: compose, validate, build, fit, evaluate, predict. The only folder that knows Hydra and MLflow."""
