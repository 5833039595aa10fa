"""What a benchmark's results say: medians, limits, targets, and the report that is made of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from bench.answers import same_json
from bench.report import write_report
from bench.results import (
    DRIVER,
    DRIVER_COALESCING,
    NOOP,
    OURS,
    STOCK,
    Cell,
    Footprint,
    Results,
    Round,
    Transfer,
    read,
)
from bench.targets import check_targets, cpu_saving, speed

BEGIN, END = "<!-- measured: python -m bench.report writes from here -->", "<!-- to here -->"


def one_round(rate: float, p50: float = 1.0, p99: float = 2.0, cpu: float | None = None, bad: int = 0) -> Round:
    requests = round(rate * 10) + bad
    return Round(
        requests=requests,
        bad_status=bad,
        socket_errors=0,
        seconds=10,
        p50_ms=p50,
        p99_ms=p99,
        server_cpu_ms=cpu,
        problem=f"{bad} bad" if bad else "",
    )


def results(*cells: Cell) -> Results:
    return Results(machine={"cores": "2"}, options={"runs": "20"}, cells=list(cells))


def cell(name: str, connections: int, rounds: dict[str, list[Round]], kind: str = "write") -> Cell:
    return Cell(scenario=name, connections=connections, kind=kind, rounds=rounds)


def found(checked: Results, title: str) -> list[tuple[str, bool | None]]:
    return [(check.wanted, check.reached) for check in check_targets(checked) if check.title == title]


def test_errors_are_no_answers_and_medians_are_of_rounds() -> None:
    measured = cell("log-metric", 8, {OURS: [one_round(10), one_round(1000), one_round(30, bad=500)]})
    assert measured.rate(OURS) == 30
    assert math.isnan(measured.rate(STOCK))


def test_a_ratio_is_infinite_where_stock_gave_no_good_answer() -> None:
    measured = cell("log-metric", 64, {STOCK: [one_round(0, bad=7)], OURS: [one_round(5, cpu=0.2)]})
    assert speed(measured) == math.inf
    assert math.isnan(cpu_saving(measured))


def test_the_limit_is_the_better_way_of_the_driver_and_http_only_where_there_is_no_driver() -> None:
    ways = {DRIVER: [one_round(100)], DRIVER_COALESCING: [one_round(300)], NOOP: [one_round(9000)]}
    assert cell("log-metric", 8, ways).limit() == (DRIVER_COALESCING, 300)
    assert cell("get run", 8, {NOOP: [one_round(9000)]}).limit() == (NOOP, 9000)
    assert math.isnan(cell("mixed", 8, {}).limit()[1])


def test_targets_are_reached_missed_or_not_measured() -> None:
    checked = results(
        cell(
            "log-metric",
            64,
            {
                STOCK: [one_round(10, p99=100, cpu=60)],
                OURS: [one_round(500, p99=5.1, cpu=1)],
                DRIVER_COALESCING: [one_round(1000)],
            },
        )
    )
    assert found(checked, "log-metric, 64 connections") == [
        ("≥ 50× requests/s", True),
        ("p99 ≤ 1/20 of stock's", False),
        ("≥ 55% of the limit", False),
    ]
    assert found(checked, "server CPU per request, writes") == [("≤ 1/50 of stock's", True)]
    assert found(checked, "get run, 8 connections") == [("≥ 30× requests/s", None)]


def test_one_error_of_ours_misses_the_target_without_errors() -> None:
    name = "one run, random order of keys"
    good, bad = one_round(100), one_round(100, bad=1)
    assert found(results(cell(name, 32, {OURS: [good]}, "mixed")), f"{name}, 32 connections") == [
        ("no error at all", True)
    ]
    assert found(results(cell(name, 32, {OURS: [good, bad]}, "mixed")), f"{name}, 32 connections") == [
        ("no error at all", False)
    ]


def test_the_worst_scenario_decides_on_processor_time() -> None:
    rounds = {STOCK: [one_round(10, cpu=100)], OURS: [one_round(10, cpu=1)]}
    slow = {STOCK: [one_round(10, cpu=100)], OURS: [one_round(10, cpu=10)]}
    checked = results(cell("log-metric", 8, rounds), cell("create run", 8, slow))
    assert found(checked, "server CPU per request, writes") == [("≤ 1/50 of stock's", False)]


def test_a_later_file_replaces_what_it_measured_anew(tmp_path: Path) -> None:
    first = results(cell("get run", 8, {OURS: [one_round(1)]}), cell("get run", 64, {OURS: [one_round(2)]}))
    first.failures.append("a row was lost")
    second = results(cell("get run", 8, {OURS: [one_round(3)]}))
    first.machine["commit"], second.machine["commit"] = "abc", "def"
    for number, part in enumerate((first, second)):
        part.write(tmp_path / f"{number}.json")
    merged = read([tmp_path / "0.json", tmp_path / "1.json"])
    assert [(one.connections, one.rate(OURS)) for one in merged.cells] == [(8, 3), (64, 2)]
    assert merged.machine == {"cores": "2", "commit": "abc, then def"}
    assert merged.failures == ["a row was lost"]


@pytest.fixture
def everything() -> Results:
    rounds = {STOCK: [one_round(10, cpu=9)], OURS: [one_round(400, cpu=1)], NOOP: [one_round(900)]}
    whole = results(cell("get run", 8, rounds, "read"), cell("log-metric", 64, rounds))
    whole.transfers.append(
        Transfer(contestant=OURS, direction="up", mib=1024, seconds=4, growth_mib=70, server_cpu_seconds=1)
    )
    whole.footprints.append(
        Footprint(
            deployment="ours: 1 worker",
            start_seconds=[1, 3],
            idle_mib=50,
            loaded_mib=60,
            idle_cores=0,
            processes=[("worker", 50)],
        )
    )
    return whole


def test_the_report_keeps_what_was_written_by_hand_and_is_the_same_again(tmp_path: Path, everything: Results) -> None:
    document, plots = tmp_path / "performance.md", tmp_path / "performance"
    document.write_text(f"# Performance\n\nBy hand.\n\n{BEGIN}\nold\n{END}\n\nBelow.\n")
    write_report(everything, document, plots)
    text = document.read_text()
    assert text.startswith("# Performance\n\nBy hand.\n\n")
    assert text.endswith("\n\nBelow.\n")
    assert "old" not in text
    assert "| get run, 8 |  | 10 | 400 | 40× |" in text
    assert "| get run, 8 connections | ≥ 30× requests/s | 40.0× | reached |" in text
    drawn = {path.name: path.read_bytes() for path in plots.iterdir()}
    assert set(drawn) == {"reads.svg", "writes.svg", "cpu.svg"}

    write_report(everything, document, plots)
    assert document.read_text() == text
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == drawn


def test_a_document_without_markers_is_left_alone(tmp_path: Path, everything: Results) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Performance\n")
    with pytest.raises(ValueError, match="no markers"):
        write_report(everything, document, tmp_path)
    assert document.read_text() == "# Performance\n"


RUN = b'{"runs": [{"data": {"metrics": [{"key": "a", "value": 1.0}, {"key": "b", "value": 2}]}}, {"info": 1}]}'


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (RUN, True),
        (b'{"runs":[{"data":{"metrics":[{"value":2.5,"key":"b"},{"key":"a","value":1.0}]}},{"info":1}]}', False),
        (b'{"runs":[{"data":{"metrics":[{"value":2,"key":"b"},{"key":"a","value":1.0}]}},{"info":1}]}', True),
        (b'{"runs":[{"info":1},{"data":{"metrics":[{"key":"a","value":1.0},{"key":"b","value":2}]}}]}', False),
        (b'{"runs":[{"data":{"metrics":[{"key":"a","value":1.0}]}},{"info":1}]}', False),
    ],
)
def test_answers_are_equal_whatever_the_order_of_a_runs_metrics(other: bytes, same: bool) -> None:
    assert same_json(RUN, other) is same


def test_a_history_has_an_order() -> None:
    first, second = b'{"metrics": [{"key": "a", "step": 1}, {"key": "a", "step": 2}]}', b'{"metrics": []}'
    swapped = b'{"metrics": [{"key": "a", "step": 2}, {"key": "a", "step": 1}]}'
    assert same_json(first, first)
    assert not same_json(first, swapped)
    assert not same_json(first, second)
