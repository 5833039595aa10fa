"""THE list of answers that deliberately differ from stock's.

Stock answers 500 to some bad input, and an HTML page to some paths; ours answers a clear 4xx in MLflow's error shape.
Each row says by which words
such an answer of stock is known, what ours answers instead, and why. Everything else must be equal, and a failure of
stock that no row describes fails the test until somebody decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from differential.harness.script import Call, get, post, send
from differential.harness.wire import Answer

BOTH = ("sqlite", "postgresql")
INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
EXISTS = (400, "RESOURCE_ALREADY_EXISTS")

# Stock raises these on purpose, so ours does too, with their status.
_DELIBERATE_CODES = ("INVALID_STATE", "NOT_IMPLEMENTED", "FEATURE_DISABLED")


@dataclass(frozen=True, slots=True)
class Deviation:
    """One deliberate difference.

    ``stock_says`` is searched in the body of stock's answer with the status ``stock``; ``ours`` are the statuses and
    codes that ours may answer. ``example`` is a script that provokes it in its last step; on ``dialects`` stock must
    answer so.
    """

    name: str
    reason: str
    stock_says: str
    ours: tuple[tuple[int, str], ...]
    example: tuple[Call, ...]
    dialects: tuple[str, ...] = BOTH
    stock: int = 500


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "a crash of stock's handler",
        "Flask's HTML page tells a client nothing; the input was wrong, so it is a 4xx",
        r"(?s)<!doctype html>.*<title>500 Internal Server Error</title>",
        (INVALID, ABSENT, EXISTS),
        (send("POST", "experiments/create", raw=b'"\\""'),),
    ),
    Deviation(
        "an integer too large for SQLite",
        "no row can have such an id",
        r"Python int too large to convert to SQLite INTEGER",
        (INVALID, ABSENT),
        (get("experiments/get", {"experiment_id": "99999999999999999999"}),),
        ("sqlite",),
    ),
    Deviation(
        "a page token that is not ASCII",
        "it is as invalid as any other broken token",
        r"string argument should contain only ASCII characters",
        (INVALID,),
        (post("experiments/search", {"max_results": 5, "page_token": "é"}),),
    ),
    Deviation(
        "a page token that holds no object",
        "it is as invalid as any other broken token",
        r"'(list|int|NoneType|str|float|bool)' object has no attribute 'get'",
        (INVALID,),
        (post("runs/search", {"experiment_ids": ["0"], "page_token": "W10="}),),
    ),
    Deviation(
        "ordered twice by the same field",
        "stock means to refuse it, but forgets the error code",
        r"`order_by` contains duplicate fields",
        (INVALID,),
        (post("runs/search", {"experiment_ids": ["0"], "order_by": ["metrics.m", "metrics.m"]}),),
    ),
    Deviation(
        "a model source that is a file of another host",
        "the source is wrong, as any other that cannot be served",
        r"is not a valid remote uri\. For remote access on windows",
        (INVALID,),
        (
            post("registered-models/create", {"name": "m"}),
            post("model-versions/create", {"name": "m", "source": "file://example.com/srv/model"}),
        ),
    ),
    Deviation(
        "a model source that names a stage without versions",
        "what is not there is not there; stock forgets the error code",
        r"No versions of model with name '.*' and stage '.*' found",
        (INVALID, ABSENT),
        (
            post("registered-models/create", {"name": "m"}),
            post("model-versions/create", {"name": "m", "source": "models:/m/Production"}),
        ),
    ),
    Deviation(
        "archiving the versions of an inactive stage",
        "stock means to refuse it, but forgets the error code",
        r"Model version transition cannot archive existing model versions because",
        (INVALID,),
        (
            post("registered-models/create", {"name": "m"}),
            post("model-versions/create", {"name": "m", "source": "s3://b/m"}),
            post(
                "model-versions/transition-stage",
                {"name": "m", "version": "1", "stage": "None", "archive_existing_versions": True},
            ),
        ),
    ),
    Deviation(
        "a logged model compared with a text where a number belongs",
        "the filter is wrong, as any other",
        r"could not convert string to float",
        (INVALID,),
        (post("logged-models/search", {"experiment_ids": ["0"], "filter": "metrics.m = 'x'"}),),
    ),
    Deviation(
        "logged models filtered by a field that they do not have",
        "the filter is wrong, as any other",
        r"type object 'SqlLoggedModel' has no attribute",
        (INVALID,),
        (post("logged-models/search", {"experiment_ids": ["0"], "filter": "nonsense = 'x'"}),),
    ),
    Deviation(
        "logged models ordered by what is no column",
        "stock finds an attribute of its own class where it looks for a column",
        r"has no attribute 'is_'|<function is_ at ",
        (INVALID,),
        (post("logged-models/search", {"experiment_ids": ["0"], "order_by": [{"field_name": "metadata"}]}),),
    ),
    Deviation(
        "a path without a route",
        "same status, but in MLflow's error shape, which clients can read",
        r"(?s)<!doctype html>.*<title>404 Not Found</title>",
        ((404, "ENDPOINT_NOT_FOUND"),),
        (get("experiments/nonsense"),),
        stock=404,
    ),
    Deviation(
        "a method that the route does not have",
        "same status, but in MLflow's error shape, which clients can read",
        r"(?s)<!doctype html>.*<title>405 Method Not Allowed</title>",
        ((405, "BAD_REQUEST"),),
        (send("PUT", "experiments/create", {"name": "e"}),),
        stock=405,
    ),
)


def deviation_for(dialect: str, stock: Answer) -> Deviation | None:
    """The row that describes this answer of stock, or None."""
    if stock.status < 400:
        return None
    text = stock.body.decode("utf-8", "replace")
    for deviation in DEVIATIONS:
        if deviation.stock == stock.status and dialect in deviation.dialects and re.search(deviation.stock_says, text):
            return deviation
    return None


def is_deliberate(stock: Answer) -> bool:
    """Whether stock raised its 5xx on purpose, as an error of its own API."""
    value = stock.value()
    return isinstance(value, dict) and value.get("error_code") in _DELIBERATE_CODES
