"""Hands the shared fixtures to every suite."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["support.fixtures", "support.failure_logs"]


# Fixtures of a session with parameters: what shares one must run in one process, or it is made again for each file.
_SHARED = ("pair", "server")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups tests for several processes: by the servers that they share, else by file; the quick ones come last."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        shared = next((f"{name}-{parameters[name]}" for name in _SHARED if isinstance(parameters.get(name), str)), None)
        item.add_marker(pytest.mark.xdist_group(shared or item.nodeid.partition("::")[0]))
    # A long group that begins last would leave the other processes with nothing to do.
    items.sort(key=lambda item: "unit" in item.path.parts)


def pytest_configure() -> None:
    # A run that is ended from outside (a timeout, CI) stops its servers as one ended by Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
