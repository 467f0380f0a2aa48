"""Batch to loss, metrics, predictions: one LightningModule per task."""
