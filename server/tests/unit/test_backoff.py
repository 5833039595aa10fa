"""Waits double, stop growing, and start afresh after a minute's run."""

from __future__ import annotations

from tracking_server.backoff import Backoff


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1, 5, clock=Clock())
    assert [backoff.delay() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_the_first_may_be_immediate() -> None:
    backoff = Backoff(1, 5, immediate=True, clock=Clock())
    assert [backoff.delay() for _ in range(3)] == [0, 1, 2]


def test_a_process_that_ran_long_enough_starts_afresh() -> None:
    clock = Clock()
    backoff = Backoff(1, 5, clock=clock)
    backoff.delay()
    backoff.delay()
    backoff.started()
    clock.now = 61
    assert backoff.delay() == 1


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(1, 5, clock=Clock())
    assert {backoff.delay() for _ in range(2000)} == {1, 2, 4, 5}
