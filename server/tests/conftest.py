"""Hands the shared fixtures to every suite."""

pytest_plugins = ["support.fixtures", "support.failure_logs"]
