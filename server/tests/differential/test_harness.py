"""The harness itself: it must report an altered answer, an altered row, a wrong id; and nothing when all is equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from differential.harness.compare import Comparison
from differential.harness.identity import IdPairs, StepTimes
from differential.harness.pair import Pair, Side, Unequal
from differential.harness.rows import Dump, Rows
from differential.harness.script import Sent, get, post, script
from differential.harness.wire import Answer, Connection, Exchanges

READ = script("read the default experiment", get("experiments/get", {"experiment_id": "0"}))


class Altered:
    """A connection whose answers pass through ``change``."""

    def __init__(self, connection: Connection, change: Callable[[Answer], Answer]) -> None:
        self._connection = connection
        self._change = change

    def exchange(self, sent: Sent) -> Answer:
        return self._change(self._connection.exchange(sent))

    def close(self) -> None:
        self._connection.close()


class AlteredRows:
    """A database whose default experiment seems to have another name."""

    def __init__(self, dump: Dump) -> None:
        self._dump = dump

    def rows(self) -> Rows:
        rows = self._dump.rows()
        rows["experiments"] = [row | {"name": f"{row['name']}!"} for row in rows["experiments"]]
        return rows

    def reset(self, script_number: int) -> None:
        self._dump.reset(script_number)

    def close(self) -> None:
        self._dump.close()


def beside_itself(pair: Pair, connection: Exchanges, dump: Dump) -> Pair:
    """Stock compared with stock, the second seen through ``connection`` and ``dump``."""
    url = pair.stock.url
    return Pair(pair.dialect, Side(url, Connection(url), pair.stock.dump), Side(url, connection, dump))


def test_nothing_is_reported_where_nothing_differs(pair: Pair) -> None:
    beside_itself(pair, Connection(pair.stock.url), pair.stock.dump).check(READ)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda answer: replace(answer, status=201), "status: stock 200, ours 201"),
        (lambda answer: replace(answer, content_type="text/plain"), "content type: stock 'application/json'"),
        (
            lambda answer: replace(answer, body=answer.body.replace(b'"Default"', b'"default"')),
            "experiment.name: stock 'Default', ours 'default'",
        ),
        (
            lambda answer: replace(answer, body=answer.body.replace(b'"name"', b'"nom"')),
            "experiment.name: stock 'Default', ours (absent)",
        ),
    ],
)
def test_an_altered_answer_is_reported(pair: Pair, change: Callable[[Answer], Answer], told: str) -> None:
    altered = Altered(Connection(pair.stock.url), change)
    with pytest.raises(Unequal) as raised:
        beside_itself(pair, altered, pair.stock.dump).check(READ)
    report = str(raised.value)
    assert told in report
    assert "step 1: GET /api/2.0/mlflow/experiments/get?experiment_id=0" in report


def test_an_altered_row_is_reported(pair: Pair) -> None:
    same = Connection(pair.stock.url)
    with pytest.raises(Unequal, match=r"rows of experiments\n    - experiments\.\d\.name: stock"):
        beside_itself(pair, same, AlteredRows(pair.stock.dump)).check(READ)


def test_an_undocumented_failure_of_stock_is_reported(pair: Pair) -> None:
    failing = Connection(pair.stock.url)
    failed = Altered(failing, lambda answer: replace(answer, status=500, body=b'{"error_code": "INTERNAL_ERROR"}'))
    failed_as_well = Altered(Connection(pair.stock.url), lambda answer: replace(answer, status=500))
    url = pair.stock.url
    together = Pair(
        pair.dialect, Side(url, failed, pair.stock.dump), Side(url, failed_as_well, pair.stock.dump), ours_is_stock=True
    )
    with pytest.raises(Unequal, match="a failure of stock that no deviation documents: stock 500"):
        together.check(READ)


def test_a_saved_value_that_is_not_there_is_reported(pair: Pair) -> None:
    same = Connection(pair.stock.url)
    hopeful = script("save", post("experiments/get-by-name", {}, save={"exp": "experiment_id"}))
    with pytest.raises(Unequal, match="was to save 'experiment_id'"):
        beside_itself(pair, same, pair.stock.dump).check(hopeful)


def comparison() -> Comparison:
    stock, ours = StepTimes(), StepTimes()
    stock.record(1_000_000, 1_000_010)
    ours.record(1_000_012, 1_000_020)
    stock.record(1_000_022, 1_000_030)
    ours.record(1_000_032, 1_000_040)
    return Comparison(IdPairs(), stock, ours)


RUN_A, RUN_B, RUN_C = "a" * 32, "b" * 32, "c" * 32


@pytest.mark.parametrize(
    ("stock", "ours", "equal"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0.0}, {"a": -0.0}, False),
        ({"a": None}, {}, False),
        ({"a": ""}, {"a": None}, False),
        ([1, 2], [2, 1], False),
        (
            {"run": {"data": {"tags": [{"key": "a"}, {"key": "b"}]}}},
            {"run": {"data": {"tags": [{"key": "b"}, {"key": "a"}]}}},
            True,
        ),
        ({"metrics": [{"key": "a"}, {"key": "b"}]}, {"metrics": [{"key": "b"}, {"key": "a"}]}, False),
        ([RUN_A, RUN_A], [RUN_B, RUN_B], True),
        ([RUN_A, RUN_A], [RUN_B, RUN_C], False),
        ([RUN_A, RUN_B], [RUN_C, RUN_C], False),
        (f"mlflow-artifacts:/730001001/{RUN_A}/artifacts", f"mlflow-artifacts:/730001002/{RUN_B}/artifacts", True),
        (f"/x/{RUN_A}/artifacts", f"/y/{RUN_B}/artifacts", False),
        (1_000_005, 1_000_015, True),
        (1_000_005, 1_000_035, False),
        (1_000_005, 1_000_021, False),
        ({"next_page_token": "eyJvZmZzZXQiOiAyfQ=="}, {"next_page_token": "eyJvZmZzZXQiOjJ9"}, True),
        ({"next_page_token": "eyJvZmZzZXQiOiAyfQ=="}, {"next_page_token": "eyJvZmZzZXQiOjN9"}, False),
        ("x: (sqlite3.IntegrityError) UNIQUE …", "x: (sqlite3.IntegrityError) other", True),
        ("x: (sqlite3.IntegrityError) UNIQUE …", "y: (sqlite3.IntegrityError) UNIQUE …", False),
    ],
)
def test_what_counts_as_equal(stock: object, ours: object, equal: bool) -> None:
    assert (comparison().differences(stock, ours) == []) is equal
