"""What the last scheduled collection of this server did: a small file for the workers, and its metrics."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

_FILE = "last-collection.json"


class LastCollection(msgspec.Struct):
    """``finished`` in seconds since 1970; ``deleted`` counts by kind (runs, rows, objects, bytes, …)."""

    finished: float
    seconds: float
    succeeded: bool
    kept: int
    deleted: dict[str, int]


def write(folder: Path, collection: LastCollection) -> None:
    """Leaves it where every worker finds it. Raises OSError."""
    unfinished = folder / f"{_FILE}.new"
    unfinished.write_bytes(msgspec.json.encode(collection))
    unfinished.replace(folder / _FILE)


def read(folder: Path) -> LastCollection | None:
    """The last one, or None where there was none."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=LastCollection)
    return None


def exposition(folder: Path | None) -> str:
    """Prometheus's text for the last collection; empty where there was none."""
    last = None if folder is None else read(folder)
    if last is None:
        return ""
    gauges = {
        "timestamp_seconds": ("When the last scheduled collection ended.", last.finished),
        "duration_seconds": ("How long it took.", last.seconds),
        "success": ("Whether it ended without an error.", int(last.succeeded)),
        "kept": ("What it had to keep.", last.kept),
    }
    lines = []
    for name, (text, value) in gauges.items():
        metric = f"tracking_server_gc_last_run_{name}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", f"{metric} {value!r}"]
    metric = "tracking_server_gc_last_run_deleted"
    lines += [f"# HELP {metric} What it deleted, by kind.", f"# TYPE {metric} gauge"]
    lines += [f'{metric}{{kind="{kind}"}} {count}' for kind, count in sorted(last.deleted.items())]
    return "\n".join(lines) + "\n"
