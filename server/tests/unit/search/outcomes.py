"""Stock's answer and ours to the same search, in one comparable form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mlflow.exceptions import MlflowException

from tracking_server.errors import ErrorCode, MlflowError

_SET = re.compile(r"\{('[^{}]*')\}")
CRASH = "CRASH"


@dataclass(frozen=True)
class Outcome:
    """Either a value or an error; a ``CRASH`` is anything that stock answers with a 500 which it did not mean."""

    value: object = None
    code: str | None = None
    message: str | None = None


def _deterministic(message: str) -> str:
    """Messages print sets, whose order changes from process to process."""
    return _SET.sub(lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", message)


def of_stock(call: Callable[[], object]) -> Outcome:
    try:
        return Outcome(call())
    except MlflowException as error:
        message = _deterministic(error.message)
        if message.startswith("`order_by` contains duplicate"):
            # Stock forgets its code; the words are equal.
            return Outcome(code=ErrorCode.INVALID_PARAMETER_VALUE, message=message)
        if error.error_code not in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
            return Outcome(code=error.error_code, message=message)
        return Outcome(code=CRASH, message=error.message)
    except Exception as error:
        return Outcome(code=CRASH, message=repr(error))


def of_ours(call: Callable[[], object]) -> Outcome:
    try:
        return Outcome(call())
    except MlflowError as error:
        return Outcome(code=error.code.value, message=_deterministic(error.message))


def assert_same(stock: Outcome, ours: Outcome) -> None:
    """Same value, or same code and message.

    What stock's database refused (BAD_REQUEST) has our own message, and what stock crashed over is a client's error.
    """
    if stock.code == CRASH:
        assert ours.code == ErrorCode.INVALID_PARAMETER_VALUE, (stock, ours)
    elif stock.code == ErrorCode.BAD_REQUEST:
        assert ours.code == ErrorCode.BAD_REQUEST, (stock, ours)
    else:
        assert ours == stock, (stock, ours)
