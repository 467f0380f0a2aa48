"""Files on disk to batches."""
