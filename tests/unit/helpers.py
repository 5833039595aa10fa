"""A unit of the charm in a played model: what stays between two events stays here, as with a real unit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ops
import ops.testing

from charm import MlflowTrackingCharm

APP = "mlflow"
MODEL = "data"
TARGET = "dc11669786a5"
OLDER = "b7c8d9e0f1a2"

PASSWORD = "p@ss/w:rd"
ACCESS_KEY = "AKIAEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI"

DATABASE_DATA = {
    "endpoints": "postgresql-k8s-primary.data.svc.cluster.local:5432",
    "username": "relation_1",
    "password": PASSWORD,
    "database": "mlflow",
}
DATABASE_IDENTITY = "1:mlflow"
STORE_DATA = {
    "endpoint": "https://s3.example.com",
    "bucket": "models",
    "access-key": ACCESS_KEY,
    "secret-key": SECRET_KEY,
}
STORE_IDENTITY = "2:models/"

Event = Callable[[ops.testing.CharmEvents], Any]


def database(data: Mapping[str, str] = DATABASE_DATA, number: int = 1) -> ops.testing.Relation:
    return ops.testing.Relation("database", id=number, remote_app_name="postgresql-k8s", remote_app_data=dict(data))


def store(data: Mapping[str, str] = STORE_DATA, number: int = 2) -> ops.testing.Relation:
    return ops.testing.Relation(
        "object-storage", id=number, remote_app_name="s3-integrator", remote_app_data=dict(data)
    )


def peers(
    app: Mapping[str, str] | None = None,
    unit: Mapping[str, str] | None = None,
    others: Mapping[int, Mapping[str, str]] | None = None,
) -> ops.testing.PeerRelation:
    return ops.testing.PeerRelation(
        "peers",
        id=0,
        local_app_data=dict(app or {}),
        local_unit_data=dict(unit or {}),
        peers_data={number: dict(data) for number, data in (others or {}).items()},
    )


def confirmed(identity: str = DATABASE_IDENTITY, revision: str = TARGET) -> dict[str, str]:
    """The leader's word that a schema may be served."""
    return {"schema": json.dumps({"database": identity, "mlflow": "3.17.2", "revision": revision}, sort_keys=True)}


ADOPTED = {"database": DATABASE_IDENTITY, "artifacts": STORE_IDENTITY}
"""The peers' record of a deployment that left embedded mode."""


def schema_status(state: str = "current", **changes: object) -> str:
    """What `db status --json` prints."""
    status: dict[str, object] = {
        "state": state,
        "current": {"current": TARGET, "behind": OLDER, "ahead": "ffffffffffff"}.get(state),
        "target": TARGET,
        "current_mlflow": {"current": "3.17.2", "behind": "2.22"}.get(state),
        "target_mlflow": "3.17.2",
        "pending": [{"revision": TARGET, "description": "add tables", "blocks_writes": True}]
        if state == "behind"
        else [],
        "has_data": None,
    }
    return json.dumps(status | changes)


STATUS_CODES = {"current": 0, "behind": 10, "ahead": 11, "not-mlflow": 12, "empty": 13}


def command(words: str, output: str = "", code: int = 0, errors: str = "") -> ops.testing.Exec:
    """An answer of `tracking-server WORDS…`."""
    return ops.testing.Exec(["tracking-server", *words.split()], stdout=output, return_code=code, stderr=errors)


def status_of(state: str, **changes: object) -> ops.testing.Exec:
    """An answer of `db status` for the configured database."""
    return command("db status --config", schema_status(state, **changes), STATUS_CODES[state])


VERSION = command("version --json", json.dumps({"server": "0.1.0", "mlflow": "3.17.2", "schema": TARGET}))
UPGRADE = command("db upgrade", json.dumps({"from": None, "to": TARGET, "revisions": 1, "seconds": 1.0}), 0, "adding\n")


def commands(*changed: ops.testing.Exec) -> list[ops.testing.Exec]:
    """The server's commands as on a current database without embedded data, with these instead."""
    usual = [
        VERSION,
        UPGRADE,
        status_of("current"),
        command("db status --json", schema_status(has_data=False)),
        command("db indexes create", "4 made\n", 0, "making an index\n"),
        command("config check", "The configuration is valid.\n"),
    ]
    return list({each.command_prefix: each for each in [*usual, *changed]}.values())


class Unit:
    """One unit with its folders; ``state`` is what Juju and Pebble know after the last event."""

    def __init__(
        self,
        folder: Path,
        *,
        leader: bool = True,
        relations: Iterable[ops.testing.RelationBase] = (),
        config: Mapping[str, str | int | float | bool] | None = None,
        secrets: Iterable[ops.testing.Secret] = (),
        planned_units: int = 1,
        execs: Iterable[ops.testing.Exec] | None = None,
    ) -> None:
        self.files = folder / "etc"
        self.data = folder / "data"
        self.authorities = folder / "certs"
        for path in (self.files, self.data, self.authorities):
            path.mkdir(parents=True)
        container = ops.testing.Container(
            "tracking-server",
            can_connect=True,
            mounts={
                "etc": ops.testing.Mount(location="/etc/tracking-server", source=self.files),
                "data": ops.testing.Mount(location="/data", source=self.data),
                "certs": ops.testing.Mount(location="/etc/ssl/certs", source=self.authorities),
            },
            execs=commands() if execs is None else execs,
        )
        given = list(relations)
        if not any(isinstance(each, ops.testing.PeerRelation) for each in given):
            given.append(peers())
        self.context = ops.testing.Context(MlflowTrackingCharm, app_name=APP, unit_id=0)
        self.state = ops.testing.State(
            leader=leader,
            containers={container},
            relations=given,
            config=config,
            secrets=secrets,
            model=ops.testing.Model(name=MODEL, uuid="f47ac10b-58cc-4372-a567-0e02b2c3d479"),
            planned_units=planned_units,
            storages={ops.testing.Storage("data")},
        )

    def run(self, event: Event | None = None) -> ops.testing.State:
        """Lets the charm handle an event, update-status unless another is given."""
        happening = self.context.on.update_status() if event is None else event(self.context.on)
        self.state = self.context.run(happening, self.state)
        return self.state

    def act(self, action: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Runs an action and returns its results. Raises ops.testing.ActionFailed."""
        self.context.action_logs.clear()
        try:
            self.state = self.context.run(self.context.on.action(action, params=parameters or {}), self.state)
        except ops.testing.ActionFailed as failure:
            self.state = failure.state or self.state
            raise
        return dict(self.context.action_results or {})

    def change(self, **changes: Any) -> None:
        """Changes what Juju holds; ``execs`` and others of the container's fields go to the container."""
        own = {
            name: changes.pop(name)
            for name in ("execs", "can_connect", "check_infos", "service_statuses")
            if name in changes
        }
        if own:
            changes["containers"] = {dataclasses.replace(self.container, **own)}
        self.state = dataclasses.replace(self.state, **changes)

    def relate(self, *relations: ops.testing.RelationBase) -> None:
        """Adds relations, or puts them in the place of those with the same id."""
        ids = {each.id for each in relations}
        kept = [each for each in self.state.relations if each.id not in ids]
        self.change(relations=frozenset([*kept, *relations]))

    def unrelate(self, number: int) -> None:
        """Removes a relation, with the event by which the charm learns it."""
        relation = self.state.get_relation(number)
        assert isinstance(relation, ops.testing.Relation)
        self.run(lambda on: on.relation_broken(relation))
        self.change(relations=frozenset(each for each in self.state.relations if each.id != number))

    @property
    def container(self) -> ops.testing.Container:
        return self.state.get_container("tracking-server")

    @property
    def peers(self) -> ops.testing.PeerRelation:
        (relation,) = self.state.get_relations("peers")
        assert isinstance(relation, ops.testing.PeerRelation)
        return relation

    @property
    def peers_app(self) -> dict[str, str]:
        """What the leader wrote for all units."""
        return _plain(self.peers.local_app_data)

    @property
    def peers_unit(self) -> dict[str, str]:
        """What this unit wrote for the others."""
        return _plain(self.peers.local_unit_data)

    def said(self, number: int) -> dict[str, str]:
        """What the application wrote into a relation."""
        return _plain(self.state.get_relation(number).local_app_data)

    @property
    def status(self) -> ops.StatusBase:
        status: ops.StatusBase = ops.StatusBase.from_name(self.state.unit_status.name, self.state.unit_status.message)
        return status

    @property
    def serves(self) -> bool:
        return self.container.service_statuses.get("tracking-server") == ops.pebble.ServiceStatus.ACTIVE

    @property
    def config_text(self) -> str:
        return (self.files / "tracking-server.toml").read_text()

    @property
    def outcome(self) -> tuple[object, ...]:
        """What the last event left for others to see: status, plan and files."""
        files = {path.name: path.read_text() for path in sorted(self.files.iterdir())}
        return self.status, self.container.plan.to_dict(), self.serves, files


def _plain(databag: object) -> dict[str, str]:
    # The type of databags is written so that mypy cannot resolve it.
    assert isinstance(databag, Mapping)
    return {str(name): str(value) for name, value in databag.items()}
