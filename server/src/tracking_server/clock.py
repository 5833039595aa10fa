"""The time as MLflow stores it."""

import time


def now_millis() -> int:
    """Milliseconds since 1970 (mlflow/utils/time.py ``get_current_time_millis``)."""
    return int(time.time() * 1000)
