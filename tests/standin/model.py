"""The state of a Juju model: applications, units, relations and secrets, as values without behaviour of their own."""

from __future__ import annotations

import secrets
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.standin.charm_files import CharmFiles, Option

if TYPE_CHECKING:
    from tests.standin.player import Player

ConfigValue = str | int | float | bool

_SECRET_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Event:
    """Something that a charm is told. ``name`` is Juju's hook name, such as ``database-relation-changed``."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that come with this event only."""


@dataclass(frozen=True)
class Status:
    name: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@dataclass
class Unit:
    """A unit. ``queue`` holds the events that it has yet to see, in their order."""

    name: str
    address: str = ""
    status: Status = Status("waiting", "installing agent")
    queue: deque[Event] = field(default_factory=deque)
    ports: set[str] = field(default_factory=set)
    """Such as ``5000/tcp``."""
    started: bool = False
    dying: bool = False
    running: bool = True
    """Whether its pod is up; an event for a unit without one waits."""
    state: dict[str, str] = field(default_factory=dict)
    """What state-set stored."""

    @property
    def app(self) -> str:
        return self.name.partition("/")[0]

    @property
    def number(self) -> int:
        return int(self.name.partition("/")[2])


@dataclass
class Application:
    """An application: of a charm's files, or played by a test (``player``)."""

    name: str
    charm: CharmFiles | None = None
    player: Player | None = None
    units: dict[str, Unit] = field(default_factory=dict)
    next_unit: int = 0
    leader: str | None = None
    settings: dict[str, ConfigValue] = field(default_factory=dict)
    """What the operator has set; ``config`` adds the defaults."""
    status: Status = Status("unknown")
    workload_version: str = ""
    trusted: bool = False

    @property
    def options(self) -> Mapping[str, Option]:
        return self.charm.options if self.charm else {}

    @property
    def config(self) -> dict[str, ConfigValue]:
        """What config-get answers: defaults, then what is set."""
        defaults = {name: option.default for name, option in self.options.items()}
        return {name: value for name, value in (defaults | self.settings).items() if value is not None}


@dataclass(frozen=True)
class Endpoint:
    app: str
    name: str

    def __str__(self) -> str:
        return f"{self.app}:{self.name}"


@dataclass
class Relation:
    """A relation of two endpoints, or of one for peers. ``data`` holds a databag for each application and unit."""

    id: int
    endpoints: tuple[Endpoint, ...]
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    """The units that have entered: their databags are there for the others."""
    visible: dict[str, set[str]] = field(default_factory=dict)
    """For each unit, the units that it has been told of: what relation-list answers."""
    dying: bool = False

    @property
    def is_peer(self) -> bool:
        return len(self.endpoints) == 1

    def local(self, app: str) -> Endpoint | None:
        """The endpoint of ``app``, or None."""
        return next((endpoint for endpoint in self.endpoints if endpoint.app == app), None)

    def remote(self, app: str) -> Endpoint:
        """The endpoint that ``app`` sees on the other side: for peers its own."""
        return next((endpoint for endpoint in self.endpoints if endpoint.app != app), self.endpoints[0])

    def bag(self, owner: str) -> dict[str, str]:
        """The databag of an application or a unit, made when it is missing."""
        return self.data.setdefault(owner, {})

    def others(self, unit: str) -> list[str]:
        """The members that ``unit`` has on the other side (for peers: besides itself)."""
        side = self.remote(unit.partition("/")[0]).app
        return sorted(name for name in self.members if name != unit and name.partition("/")[0] == side)


@dataclass
class Consumer:
    """What Juju remembers about a unit that has read a secret: its label and the revision that it follows."""

    revision: int
    label: str = ""


@dataclass
class Secret:
    """A secret. ``owner`` is an application's or unit's name, or ``""`` for the model's user."""

    id: str
    owner: str
    label: str = ""
    description: str = ""
    rotate: str = ""
    expire: str = ""
    revisions: dict[int, dict[str, str]] = field(default_factory=dict)
    grants: dict[str, int | None] = field(default_factory=dict)
    """Application or unit → the relation that the grant ends with (None: the user granted it)."""
    consumers: dict[str, Consumer] = field(default_factory=dict)

    @property
    def latest(self) -> int:
        return max(self.revisions)

    @property
    def uri(self) -> str:
        return f"secret:{self.id}"

    def is_owned_by(self, unit: str) -> bool:
        return self.owner in (unit, unit.partition("/")[0])

    def is_granted_to(self, unit: str) -> bool:
        return unit in self.grants or unit.partition("/")[0] in self.grants


@dataclass
class Action:
    """An action that runs or has run. ``results`` are flat, as Juju's command line prints them."""

    name: str
    parameters: dict[str, Any]
    results: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    failure: str | None = None
    output: str = ""
    """What the charm's process printed."""

    @property
    def succeeded(self) -> bool:
        return self.failure is None


class Model:
    """All that the controller knows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.apps: dict[str, Application] = {}
        self.relations: dict[int, Relation] = {}
        self.secrets: dict[str, Secret] = {}
        self.log: list[str] = []
        """Every line of juju-log, as ``unit LEVEL message``."""
        self._next_relation = 0

    def app(self, name: str) -> Application:
        """The application. Raises KeyError when there is none."""
        return self.apps[name]

    def unit(self, name: str) -> Unit:
        """The unit. Raises KeyError when there is none."""
        return self.apps[name.partition("/")[0]].units[name]

    def units(self) -> Iterator[Unit]:
        for app in self.apps.values():
            yield from app.units.values()

    def is_leader(self, unit: str) -> bool:
        return self.apps[unit.partition("/")[0]].leader == unit

    def new_relation(self, *endpoints: Endpoint) -> Relation:
        relation = Relation(self._next_relation, endpoints)
        self._next_relation += 1
        self.relations[relation.id] = relation
        return relation

    def relations_of(self, app: str, endpoint: str | None = None) -> list[Relation]:
        """The relations of an application, oldest first; of one endpoint when it is named."""
        return [
            relation
            for relation in self.relations.values()
            if any(side.app == app and endpoint in (None, side.name) for side in relation.endpoints)
        ]

    def new_secret(self, owner: str, content: Mapping[str, str], label: str = "") -> Secret:
        identity = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(20))
        secret = Secret(identity, owner, label, revisions={1: dict(content)})
        self.secrets[identity] = secret
        return secret
