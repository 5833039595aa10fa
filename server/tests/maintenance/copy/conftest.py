"""Fixtures of the tests of copies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def mlflow_as_before() -> Iterator[None]:
    """Takes back the tracking URI that a test has set in this process."""
    import mlflow

    yield
    mlflow.set_tracking_uri("")
