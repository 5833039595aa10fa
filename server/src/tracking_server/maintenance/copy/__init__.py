"""``tracking-server db copy``: an MLflow database with its artifacts moved to another place, exactly.

``run.copy`` is the order of steps on one page: look at both sides, check every source row, load, verify, copy the
artifacts, and only then make the target a database that a server accepts.
"""
