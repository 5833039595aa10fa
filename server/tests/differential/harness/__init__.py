"""Sends the same calls to stock MLflow and to the tracking server, and compares answers and rows."""
