"""Hands the shared fixtures to every suite."""

from __future__ import annotations

import signal

pytest_plugins = ["support.fixtures", "support.failure_logs"]


def pytest_configure() -> None:
    # A run that is ended from outside (a timeout, CI) stops its servers as one ended by Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
