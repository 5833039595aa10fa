"""Garbage collection: what was deleted in MLflow is deleted for good, rows and artifacts, as `mlflow gc` does."""
