"""The histories of metrics (mlflow/server/handlers.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated

import msgspec

from tracking_server.api import rules
from tracking_server.api.decoding import decode, query_parameters
from tracking_server.api.messages import INT32_MIN, Int32, Message, RequiredText
from tracking_server.api.operation import MESSAGES
from tracking_server.errors import invalid_parameter
from tracking_server.search.page_token import create_page_token, parse_offset
from tracking_server.services import Services
from tracking_server.store import metrics
from tracking_server.web import JSON_HEADERS, Answer, Request, Response, StreamingResponse

_MAX_RUNS = 100
_MAX_HISTORY_RESULTS = 25_000
_MAX_RESULTS_PER_RUN = 2_500
_PIECES_SENT_WHOLE = 4


class GetMetricHistory(Message, kw_only=True):
    run_id: RequiredText
    run_uuid: str | None = None
    metric_key: RequiredText
    page_token: str | None = None
    max_results: Int32 | None = None


_HISTORY_RULES = {
    "run_id": [rules.string, rules.required],
    "metric_key": [rules.string, rules.required],
    "page_token": [rules.string],
}


async def get_history(request: Request, services: Services) -> Answer:
    """All points of a run's metric, or a page of them."""
    message = await decode(request, GetMetricHistory, _HISTORY_RULES)
    limit = message.max_results
    if limit is not None and limit <= 0:
        raise invalid_parameter(
            f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer."
        )
    offset = parse_offset(message.page_token)
    pieces, has_more = await metrics.history(services.database, message.run_id, message.metric_key, limit, offset)
    if not pieces:
        return Response(body=b"{}")
    end = b"]}"
    if has_more and limit is not None:
        end = b'],"next_page_token":' + msgspec.json.encode(create_page_token(offset + limit)) + b"}"
    return _answer(pieces, end)


async def get_history_bulk(request: Request, services: Services) -> Answer:
    """The first points of several runs' metric; reads the query itself, as stock does, not a message."""
    query = query_parameters(request.query_string)
    run_ids = query.get("run_id", [])
    if not run_ids:
        raise invalid_parameter("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > _MAX_RUNS:
        raise invalid_parameter(
            f"GetMetricHistoryBulk request cannot specify more than {_MAX_RUNS} run_ids."
            f" Received {len(run_ids)} run_ids."
        )
    if "metric_key" not in query:
        raise invalid_parameter("GetMetricHistoryBulk request must specify a metric_key.")
    limit = min(_integer(query, "max_results", _MAX_HISTORY_RESULTS), _MAX_HISTORY_RESULTS)
    pieces = await metrics.histories(services.database, run_ids, query["metric_key"][0], limit)
    return _answer(pieces, b"]}")


class GetMetricHistoryBulkInterval(Message):
    run_ids: Annotated[list[str], msgspec.Meta(max_length=_MAX_RUNS)]
    metric_key: RequiredText
    start_step: Int32 | None = None
    end_step: Int32 | None = None
    max_results: Annotated[int, msgspec.Meta(ge=INT32_MIN, le=_MAX_RESULTS_PER_RUN)] | None = None


def _too_many_runs(value: object) -> str | None:
    if not isinstance(value, list) or len(value) <= _MAX_RUNS:
        return None
    return (
        f"GetMetricHistoryBulkInterval request must specify at most {_MAX_RUNS} run_ids. Received {len(value)} run_ids."
    )


_RESULTS_RULES = {
    "max_results": [
        rules.intlike,
        rules.within(1, _MAX_RESULTS_PER_RUN, f"max_results must be between 1 and {_MAX_RESULTS_PER_RUN}."),
    ]
}
_INTERVAL_RULES = {
    "run_ids": [
        rules.required,
        rules.array,
        rules.string_items,
        rules.Rule(lambda value: _too_many_runs(value) is None, message_for=_too_many_runs),
    ],
    "metric_key": [rules.required, rules.string],
    "start_step": [rules.intlike],
    "end_step": [rules.intlike],
    **_RESULTS_RULES,
}


async def get_history_bulk_interval(request: Request, services: Services) -> Answer:
    """A sample of several runs' metric; numbers are read from the query, even if the message came in the body."""
    message = await decode(request, GetMetricHistoryBulkInterval, _INTERVAL_RULES)
    if message.max_results is not None:
        rules.check(_RESULTS_RULES, {"max_results": message.max_results}, parsed=True)
    query = query_parameters(request.query_string)
    limit = _integer(query, "max_results", _MAX_RESULTS_PER_RUN)
    first, last = None, None
    if "start_step" in query and "end_step" in query:
        first, last = _integer(query, "start_step"), _integer(query, "end_step")
        if first > last:
            raise invalid_parameter(
                f"end_step must be greater than start_step. Found start_step={first} and end_step={last}."
            )
    elif "start_step" in query or "end_step" in query:
        raise invalid_parameter("If either start step or end step are specified, both must be specified.")
    run_ids, key = message.run_ids, message.metric_key
    pieces = await metrics.samples(services.database, run_ids, key, max(1, limit), first, last)
    return _answer(pieces, b"]}") if pieces else Response(body=b"{}")


MESSAGES[get_history] = GetMetricHistory
MESSAGES[get_history_bulk_interval] = GetMetricHistoryBulkInterval


def _integer(query: Mapping[str, list[str]], name: str, default: int = 0) -> int:
    if name not in query:
        return default
    try:
        return int(query[name][0])
    except ValueError:
        # Stock fails with a 500 here.
        raise invalid_parameter(
            f"Invalid value {query[name][0]} for parameter '{name}': it must be an integer."
        ) from None


def _answer(pieces: Sequence[bytes], end: bytes) -> Answer:
    """An object with the array ``metrics``; a large one is not copied into one piece."""
    if len(pieces) <= _PIECES_SENT_WHOLE:
        return Response(body=b'{"metrics":[' + b",".join(pieces) + end)
    return StreamingResponse(200, JSON_HEADERS, _chunks(pieces, end))


async def _chunks(pieces: Sequence[bytes], end: bytes) -> AsyncIterator[bytes]:
    yield b'{"metrics":['
    for number, piece in enumerate(pieces):
        yield b"," + piece if number else piece
    yield end
