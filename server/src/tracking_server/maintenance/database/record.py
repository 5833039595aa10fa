"""Writes ``revisions.json`` anew, after MLflow's version changed: on empty databases of both kinds.

python -m tracking_server.maintenance.database.record revisions.json sqlite:///empty.db postgresql+psycopg://…
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import msgspec
import sqlalchemy as sa

from tracking_server.maintenance.database import migrations
from tracking_server.maintenance.database.catalogue import Catalogue, Revision
from tracking_server.maintenance.database.engine import make_engine

# The first release with each revision, as MLflow's wheels show; a revision that is not named came with the one before.
FIRST_RELEASES = {
    "451aebb31d03": "1.0",
    "181f10493468": "1.1",
    "df50e92ffc5e": "1.2",
    "89d4b8295536": "1.3",
    "2b4d017a5e9b": "1.4",
    "0a8213491aaa": "1.7",
    "728d730b5ebd": "1.10",
    "84291f40a231": "1.11",
    "a8c4a736bde6": "1.13",
    "39d1c3be5f05": "1.15",
    "c48cb773bb87": "1.16",
    "bd07f7e963c5": "1.25",
    "0c779009ac13": "1.28",
    "97727af70f4d": "1.29",
    "3500859a5d39": "2.3",
    "7f2a7d5fae7d": "2.4",
    "2d6e25af4d3e": "2.8",
    "867495a8f9d4": "2.13",
    "5b0e9adcef9c": "2.14",
    "4465047574b1": "2.15",
    "f5a4f2784254": "2.17",
    "0584bdc529eb": "2.18",
    "400f98739977": "3.0",
    "bda7b8c39065": "3.1.1",
    "cbc13b556ace": "3.2",
    "a1b2c3d4e5f6": "3.3",
    "534353b11cbc": "3.4",
    "3da73c924c2f": "3.5",
    "1bd49d398cd23": "3.8",
    "b7c8d9e0f1a2": "3.9",
    "d0e1f2a3b4c5": "3.10",
    "e1f2a3b4c5d6": "3.11",
    "a5b4c3d2e1f0": "3.12",
    "da6fb0208061": "3.13",
    "89d3d66ed43f": "3.14",
    "a8b9c0d1e2f3": "3.15",
    "1971f2d9a75b": "3.16",
    "75868b020152": "3.17",
}

# Times that a migration takes from the clock.
_NOW = re.compile(r"\b1[78]\d{11}\b")
_LIST = re.compile(r"\bIN \(([^()]*)\)")


def record(uris: list[str]) -> Catalogue:
    """Runs every migration on the empty databases at ``uris``, one of SQLite and one of PostgreSQL."""
    recordings: dict[str, dict[str, migrations.Recording]] = {}
    differences: dict[str, list[str]] = {}
    for uri in uris:
        engine = make_engine(uri)
        recordings[engine.dialect.name], differences[engine.dialect.name] = _run(engine)
    since = ""
    found = []
    for revision, description in migrations.history():
        since = FIRST_RELEASES.get(revision, since)
        each = {dialect: recording[revision] for dialect, recording in recordings.items()}
        reads = sorted(set().union(*(recording.reads for recording in each.values())))
        statements = {dialect: _stable(recording.statements) for dialect, recording in each.items()}
        found.append(Revision(revision, description, since, reads, **statements))
    return Catalogue(found, differences)


def _run(engine: sa.Engine) -> tuple[dict[str, migrations.Recording], list[str]]:
    found: dict[str, migrations.Recording] = {}
    with contextlib.ExitStack() as listening:

        def listen() -> migrations.Recording:
            listening.close()
            recording = migrations.Recording()
            listening.enter_context(recording.of(engine))
            return recording

        current = listen()

        def applied(revision: str) -> None:
            nonlocal current
            found[revision] = current
            current = listen()

        with engine.connect() as connection, connection.begin():
            migrations.upgrade(connection, applied)
            essential, other = migrations.differences(connection)
    if essential:
        raise RuntimeError(f"MLflow's migrations lack {essential}")
    return found, other


def _stable(statements: list[str]) -> list[str]:
    """The statements without what differs each time: the clock, and the order of some values."""
    return [_LIST.sub(_in_order, _NOW.sub("<now>", statement)) for statement in statements]


def _in_order(values: re.Match[str]) -> str:
    return f"IN ({', '.join(sorted(values[1].split(', ')))})"


def main() -> None:
    """``record.py FILE URI URI``: writes the file."""
    found = msgspec.json.format(msgspec.json.encode(record(sys.argv[2:])), indent=1)
    Path(sys.argv[1]).write_bytes(found + b"\n")


if __name__ == "__main__":
    main()
