"""``make bench``: the tracking server against stock MLflow with uvloop, on the same PostgreSQL, in one run."""
