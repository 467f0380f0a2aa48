"""Whatever only watches a run: progress, history, figures."""
