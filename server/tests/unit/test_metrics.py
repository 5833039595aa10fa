"""Counting requests, alone and over several workers."""

from pathlib import Path

from tracking_server.metrics import BUCKETS, RequestMetrics, clear, exposition


def test_counts_by_route_status_and_reason() -> None:
    metrics = RequestMetrics()
    metrics.record("runs.get", 200, 0.002)
    metrics.record("runs.get", 404, 0.002)
    metrics.record("runs.get", 200, 99.0)
    metrics.record_forward("ui.graphql", "route")
    lines = exposition(metrics.of_all_workers()).splitlines()
    assert 'tracking_server_requests_total{route="runs.get",status="2xx"} 2' in lines
    assert 'tracking_server_requests_total{route="runs.get",status="4xx"} 1' in lines
    assert 'tracking_server_forwarded_total{route="ui.graphql",reason="route"} 1' in lines
    assert 'tracking_server_request_seconds_bucket{route="runs.get",le="0.001"} 0' in lines
    assert 'tracking_server_request_seconds_bucket{route="runs.get",le="0.0025"} 2' in lines
    assert 'tracking_server_request_seconds_bucket{route="runs.get",le="+Inf"} 3' in lines
    assert 'tracking_server_request_seconds_count{route="runs.get"} 3' in lines


def test_a_bound_belongs_to_its_bucket() -> None:
    metrics = RequestMetrics()
    metrics.record("runs.get", 200, BUCKETS[0])
    assert 'le="0.001"} 1' in exposition(metrics.of_all_workers())


def test_workers_answer_for_each_other_also_for_the_dead(tmp_path: Path) -> None:
    first, second = RequestMetrics(tmp_path), RequestMetrics(tmp_path)
    first.record("runs.get", 200, 0.1)
    first.record_forward("runs.get", "workspace")
    first.write()
    second.record("runs.get", 200, 0.1)
    counts = second.of_all_workers()
    assert counts.answered == {"runs.get": {"2xx": 2}}
    assert counts.forwarded == {"runs.get": {"workspace": 1}}
    assert sum(counts.latency["runs.get"]) == 2
    # Writing and asking again count nothing twice.
    second.write()
    first.write()
    assert second.of_all_workers() == first.of_all_workers() == counts


def test_a_new_start_forgets_an_earlier_run(tmp_path: Path) -> None:
    before = RequestMetrics(tmp_path)
    before.record("runs.get", 200, 0.1)
    before.write()
    clear(tmp_path)
    assert RequestMetrics(tmp_path).of_all_workers().answered == {}
