"""What the units tell each other: who holds embedded data, what is adopted, which schema is confirmed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import ops

from data_source import Kind
from relations.databag import decoded, encoded, write

ENDPOINT = "peers"

_HOLDER = "embedded-unit"
_RELEASED = "released"
_SCHEMA = "schema"
_FAILURE = "migration-failed"
_SERVING = "serving"


@dataclass(frozen=True)
class SchemaRecord:
    """A database (by identity) and the revision that its schema is known to have."""

    database: str
    revision: str
    mlflow: str


@dataclass(frozen=True)
class MigrationFailure:
    """A migration that failed: of which database, to which revision, and why, in one line without secrets."""

    database: str
    revision: str
    reason: str


@dataclass(frozen=True)
class Serving:
    """What a unit serves from, and on which revision."""

    database: str
    revision: str


Record = TypeVar("Record", SchemaRecord, MigrationFailure, Serving)


class Peers:
    """The endpoint ``peers``. What is not the unit's own is written by the leader only."""

    def __init__(self, charm: ops.CharmBase) -> None:
        self._charm = charm

    @property
    def available(self) -> bool:
        return self._relation is not None

    @property
    def units(self) -> frozenset[str]:
        """All units, this one among them."""
        others = self._relation.units if self._relation else set()
        return frozenset(unit.name for unit in others) | {self._charm.unit.name}

    @property
    def holder(self) -> str | None:
        """The unit that holds embedded data; None before one does."""
        return self._app.get(_HOLDER)

    def record_holder(self, unit: str) -> None:
        self._write_app({_HOLDER: unit})

    def adopted(self, kind: Kind) -> str | None:
        """The identity of what is served from for good; None in embedded mode."""
        return self._app.get(kind)

    def adopt(self, kind: Kind, identity: str) -> None:
        self._write_app({str(kind): identity})

    def released(self, kind: Kind) -> str | None:
        """The identity for which the holder gave its embedded data up."""
        holder = self.holder or self._charm.unit.name
        released = decoded(self._of_unit(holder).get(_RELEASED, "{}"))
        identity = released.get(kind) if isinstance(released, Mapping) else None
        return identity if isinstance(identity, str) else None

    def release(self, kind: Kind, identity: str) -> None:
        """Gives this unit's embedded data up."""
        released = decoded(self._own.get(_RELEASED, "{}"))
        kept = dict(released) if isinstance(released, Mapping) else {}
        self._write_own({_RELEASED: encoded({**kept, str(kind): identity})})

    def schema(self, *, embedded: bool) -> SchemaRecord | None:
        """The confirmed schema: the leader's word, or for an embedded database this unit's own."""
        return _load(SchemaRecord, self._own if embedded else self._app, _SCHEMA)

    def confirm(self, record: SchemaRecord | None, *, embedded: bool) -> None:
        """Confirms a schema, or withdraws what was confirmed; what failed before is forgotten when it is confirmed."""
        contents = {_SCHEMA: _dump(record)} | ({} if record is None else {_FAILURE: ""})
        (self._write_own if embedded else self._write_app)(contents)

    def failure(self, *, embedded: bool) -> MigrationFailure | None:
        """The last migration, if it failed and none succeeded since."""
        return _load(MigrationFailure, self._own if embedded else self._app, _FAILURE)

    def record_failure(self, failure: MigrationFailure, *, embedded: bool) -> None:
        (self._write_own if embedded else self._write_app)({_FAILURE: _dump(failure)})

    @property
    def others_serving(self) -> dict[str, Serving]:
        """The other units that serve, by name."""
        found = {}
        for unit in sorted(self.units - {self._charm.unit.name}):
            serving = _load(Serving, self._of_unit(unit), _SERVING)
            if serving is not None:
                found[unit] = serving
        return found

    def say_serving(self, serving: Serving | None) -> None:
        """Tells the other units what this one serves from, or that it does not."""
        self._write_own({_SERVING: _dump(serving)})

    @property
    def _relation(self) -> ops.Relation | None:
        return self._charm.model.get_relation(ENDPOINT)

    @property
    def _app(self) -> Mapping[str, str]:
        return self._relation.data[self._charm.app] if self._relation else {}

    @property
    def _own(self) -> Mapping[str, str]:
        return self._of_unit(self._charm.unit.name)

    def _of_unit(self, name: str) -> Mapping[str, str]:
        if self._relation is None or name not in self.units:
            return {}
        return self._relation.data[self._charm.model.get_unit(name)]

    def _write_app(self, contents: Mapping[str, str]) -> None:
        if self._relation is not None and self._charm.unit.is_leader():
            write(self._relation.data[self._charm.app], contents)

    def _write_own(self, contents: Mapping[str, str]) -> None:
        if self._relation is not None:
            write(self._relation.data[self._charm.unit], contents)


def _load(record_type: type[Record], databag: Mapping[str, str], key: str) -> Record | None:
    content = decoded(databag.get(key, ""))
    names = [field.name for field in dataclasses.fields(record_type)]
    if not isinstance(content, Mapping) or not all(isinstance(content.get(name), str) for name in names):
        return None
    return record_type(**{name: content[name] for name in names})


def _dump(record: SchemaRecord | MigrationFailure | Serving | None) -> str:
    return "" if record is None else json.dumps(dataclasses.asdict(record), sort_keys=True)
