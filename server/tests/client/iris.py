"""The tutorials' model: iris, which comes with scikit-learn, and a quick classifier."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

# Named here, because to find them MLflow would load the model in a process of its own, which takes many seconds.
REQUIREMENTS = ["scikit-learn"]

Matrix = Any


def data() -> tuple[Matrix, Matrix]:
    """150 rows of four measurements, and their classes."""
    features, classes = load_iris(return_X_y=True)
    return features, classes


def trained(c: float = 1.0) -> LogisticRegression:
    """A classifier that has seen the data; ``c`` is the inverse of its regularisation."""
    return LogisticRegression(C=c, max_iter=1000).fit(*data())
