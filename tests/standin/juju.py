"""What an operator does with Juju, done with the stand-in."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.standin.agent import Agent, Dispatched
from tests.standin.charm_files import CharmFiles
from tests.standin.lifecycle import Lifecycle
from tests.standin.model import (
    Action,
    Application,
    ConfigValue,
    Endpoint,
    Event,
    Model,
    Relation,
    Secret,
    Status,
    Unit,
)
from tests.standin.network import Network
from tests.standin.player import Player
from tests.standin.pod import Image, Pod


class Juju:
    """A model and its units, as a context manager that ends all of their processes.

    Commands queue events; ``settle`` and ``wait`` dispatch them, one at a time, in turns over the units. A hook that
    fails raises HookFailed and stays first in its unit's queue, so that the next ``settle`` tries it again.
    """

    def __init__(self, image: Image, network: Network, model: str = "mlops") -> None:
        self.model = Model(model)
        self.lifecycle = Lifecycle(self.model)
        self.network = network
        self.agents: dict[str, Agent] = {}
        self.actions: list[Action] = []
        """Every action that was run."""
        self._image = image
        self._stack = ExitStack()
        self._folders = itertools.count()

    def __enter__(self) -> Self:
        # Not one of pytest's folders: those are closed to other users.
        self.folder = Path(self._stack.enter_context(_OpenFolder()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.agents.values():
            agent.pod.kill()
            agent.close()
        self._stack.close()

    def deploy(
        self,
        charm: CharmFiles,
        app: str,
        *,
        units: int = 1,
        config: Mapping[str, ConfigValue] | None = None,
        trust: bool = False,
    ) -> Application:
        """``juju deploy``: adds an application of a charm's packed files, with its units."""
        application = self.model.apps[app] = Application(app, charm, trusted=trust)
        self._set(application, config or {})
        for endpoint in charm.peers:
            self.model.new_relation(Endpoint(app, endpoint))
        for _ in range(units):
            self.add_unit(app)
        return application

    def play(self, player: Player, app: str) -> None:
        """Adds an application of one unit that a test plays."""
        player.juju, player.name = self, app
        unit = Unit(f"{app}/0", address=self.network.address, status=Status("active"), started=True)
        self.model.apps[app] = Application(app, player=player, units={unit.name: unit}, leader=unit.name)

    def add_unit(self, app: str) -> str:
        """``juju add-unit``: starts a pod for a new unit and returns the unit's name."""
        application = self.model.app(app)
        assert application.charm is not None
        unit = Unit(f"{app}/{application.next_unit}")
        application.next_unit += 1
        folder = self.folder / f"{next(self._folders)}-{unit.name.replace('/', '-')}"
        pod = Pod(folder, unit.name, application.charm, self._image, self.network)
        self.agents[unit.name] = Agent(self.model, self.lifecycle, unit, pod, self.network.address)
        pod.start()
        unit.address = pod.address
        application.units[unit.name] = unit
        application.leader = application.leader or unit.name
        self.lifecycle.install(unit, application.charm.storage)
        self._name_hosts()
        return unit.name

    def remove_unit(self, name: str) -> None:
        """``juju remove-unit``: the unit leaves, and its pod with it when ``settle`` has come to its ``remove``."""
        unit = self.model.unit(name)
        charm = self.model.app(unit.app).charm
        self.lifecycle.dying(unit, charm.storage if charm is not None else ())

    def remove_application(self, app: str) -> None:
        """``juju remove-application``: its relations and all its units go."""
        for relation in self.model.relations_of(app):
            if not relation.is_peer:
                self.lifecycle.unrelated(relation)
        for name in list(self.model.app(app).units):
            self.remove_unit(name)

    def integrate(self, first: str, second: str) -> Relation:
        """``juju integrate app:endpoint app:endpoint``. Raises ValueError beyond an endpoint's limit."""
        sides = [Endpoint(*side.split(":")) for side in (first, second)]
        interfaces: set[str] = set()
        for side in sides:
            charm = self.model.app(side.app).charm
            if charm is None:
                continue
            interfaces.add(charm.endpoints[side.name])
            limit = charm.limits.get(side.name)
            if limit is not None and len(self.model.relations_of(side.app, side.name)) >= limit:
                raise ValueError(f"establishing a new relation for {side} would exceed its maximum of {limit}")
        if len(interfaces) > 1:
            raise ValueError(f"{first} and {second} have different interfaces: {sorted(interfaces)}")
        relation = self.model.new_relation(*sides)
        self.lifecycle.related(relation)
        return relation

    def remove_relation(self, relation: Relation) -> None:
        """``juju remove-relation``."""
        self.lifecycle.unrelated(relation)

    def config(self, app: str, **values: ConfigValue) -> None:
        """``juju config app name=value``, hyphens of the name written as underscores."""
        application = self.model.app(app)
        if self._set(application, {name.replace("_", "-"): value for name, value in values.items()}):
            self.lifecycle.config_changed(app)

    def reset_config(self, app: str, *names: str) -> None:
        """``juju config app --reset name``."""
        for name in names:
            self.model.app(app).settings.pop(name, None)
        self.lifecycle.config_changed(app)

    def add_secret(self, content: Mapping[str, str], *granted: str) -> Secret:
        """``juju add-secret`` and ``juju grant-secret`` to applications."""
        secret = self.model.new_secret("", content)
        secret.grants.update(dict.fromkeys(granted))
        return secret

    def update_secret(self, secret: Secret, content: Mapping[str, str]) -> None:
        """``juju update-secret``."""
        secret.revisions[secret.latest + 1] = dict(content)
        self.lifecycle.secret_changed(secret)

    def run(self, unit: str, action: str, **parameters: Any) -> Action:
        """``juju run unit action name=value``, hyphens of the name written as underscores; then settles.

        ``unit`` may be ``app/leader``. Raises ValueError for parameters that actions.yaml does not allow.
        """
        app = self.model.app(unit.partition("/")[0])
        name = app.leader if unit.endswith("/leader") else unit
        assert name is not None
        assert app.charm is not None
        given = {key.replace("_", "-"): value for key, value in parameters.items()}
        task = Action(action, _checked(action, app.charm.actions[action], given))
        self.agents[name].run(task)
        self.actions.append(task)
        self.settle()
        return task

    def refresh(self, app: str, charm: CharmFiles) -> None:
        """``juju refresh``: each unit gets a new pod with the new charm's files."""
        application = self.model.app(app)
        application.charm = charm
        for name in application.units:
            self.agents[name].pod.stop()
            self.start_pod(name)

    def kill_pod(self, name: str) -> None:
        """The unit's node is lost: all its processes end, nobody is told."""
        self.agents[name].pod.kill()
        self.model.unit(name).running = False
        self._name_hosts()

    def start_pod(self, name: str) -> None:
        """Kubernetes schedules the unit's pod anew: on its storage, with a new address and everything else empty."""
        unit, agent = self.model.unit(name), self.agents[name]
        agent.pod.start(self.model.app(unit.app).charm)
        unit.running, unit.address = True, agent.pod.address
        self.lifecycle.rescheduled(unit)
        self.lifecycle.address_changed(unit)
        self._name_hosts()

    def restart_container(self, name: str, container: str) -> None:
        """The container dies and Kubernetes starts it anew, with nothing in it but its storage."""
        self.agents[name].pod.restart_container(container)

    def elect(self, name: str) -> None:
        """Makes a unit the leader, as Juju does when the old one's lease ends."""
        self.lifecycle.elected(self.model.unit(name))

    def update_status(self, app: str) -> None:
        """Every unit gets its regular update-status."""
        for unit in self.model.app(app).units.values():
            self.lifecycle.tell(unit, "update-status")

    def settle(self, timeout: float = 900) -> None:
        """Dispatches events until none is left. Raises TimeoutError when they do not end."""
        deadline = time.monotonic() + timeout
        while self.step():
            if time.monotonic() > deadline:
                raise TimeoutError(f"events do not end:\n{self.describe()}")

    def wait(self, condition: Callable[[], bool], timeout: float = 240) -> None:
        """Dispatches events until ``condition`` holds. Raises TimeoutError, with the statuses."""
        deadline = time.monotonic() + timeout
        while True:
            self.settle()
            if condition():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"still:\n{self.describe()}")
            time.sleep(0.1)

    def wait_for(self, app: str, status: str, message: str = "", timeout: float = 240) -> None:
        """Waits until every unit that runs has this status, and a message that holds ``message``."""

        def holds() -> bool:
            units = [unit for unit in self.model.app(app).units.values() if unit.running]
            return all(unit.status.name == status and message in unit.status.message for unit in units)

        self.wait(holds, timeout)

    def step(self) -> bool:
        """Asks every Pebble for news and gives every unit its next event; whether there was one."""
        busy = False
        for unit in list(self.model.units()):
            agent = self.agents.get(unit.name)
            if agent is not None:
                agent.poll()
            if unit.queue and unit.running:
                self._dispatch(unit, unit.queue[0])
                busy = True
        return busy

    def status(self, unit: str) -> Status:
        return self.model.unit(unit).status

    def describe(self) -> str:
        """Every unit with its status and the events that wait for it."""
        lines = []
        for unit in self.model.units():
            leads = "*" if self.model.is_leader(unit.name) else ""
            waiting = ", ".join(event.name for event in unit.queue)
            lines.append(f"{unit.name}{leads} {unit.status}" + (f"  [waiting: {waiting}]" if waiting else ""))
        return "\n".join(lines)

    @property
    def dispatched(self) -> list[Dispatched]:
        """Every event that a charm has seen, unit by unit."""
        return [event for agent in self.agents.values() for event in agent.dispatched]

    def _dispatch(self, unit: Unit, event: Event) -> None:
        number = event.environment.get("JUJU_RELATION_ID", "").rpartition(":")[2]
        relation = self.model.relations.get(int(number)) if number else None
        remote = event.environment.get("JUJU_REMOTE_UNIT", "")
        if number and not self._enters(relation, unit, event):
            unit.queue.popleft()
            return
        player = self.model.app(unit.app).player
        if player is not None:
            player.see(event)
        else:
            self.agents[unit.name].dispatch(event)
        # A failed hook stays in the queue; what came meanwhile stands behind it.
        unit.queue.remove(event)
        if relation is not None and event.name.endswith("-relation-broken"):
            self.lifecycle.left(relation, unit.name)
        if relation is not None and event.name.endswith("-relation-departed"):
            relation.visible.get(unit.name, set()).discard(remote)
        if event.name == "remove":
            self._remove(unit)

    def _enters(self, relation: Relation | None, unit: Unit, event: Event) -> bool:
        """Brings relation-list up to date for the event; False when the event has become pointless."""
        if relation is None:
            return False
        remote = event.environment.get("JUJU_REMOTE_UNIT", "")
        if event.name.endswith("-relation-created"):
            if relation.dying:
                return False
            # Juju joins all that is there at once, so the first of these hooks finds every relation.
            for other in self.model.relations_of(unit.app):
                if not other.dying and any(_is_creation(waiting, other) for waiting in unit.queue):
                    self.lifecycle.entered(other, unit)
            return True
        if unit.name not in relation.members:
            return False
        visible = relation.visible.setdefault(unit.name, set())
        if event.name.endswith("-relation-joined"):
            visible.add(remote)
        if event.name.endswith("-relation-departed"):
            visible.discard(remote)
        return True

    def _remove(self, unit: Unit) -> None:
        agent = self.agents.pop(unit.name)
        agent.pod.stop()
        agent.close()
        app = self.model.app(unit.app)
        del app.units[unit.name]
        for relation in list(self.model.relations.values()):
            self.lifecycle.left(relation, unit.name)
        for secret in self.model.secrets.values():
            secret.consumers.pop(unit.name, None)
        if app.leader == unit.name:
            app.leader = None
            heirs = [other for other in app.units.values() if other.running and not other.dying]
            if heirs:
                self.lifecycle.elected(heirs[0])
        self._name_hosts()

    def _set(self, application: Application, values: Mapping[str, ConfigValue]) -> bool:
        for name, value in values.items():
            option = application.options.get(name)
            if option is None:
                raise ValueError(f"unknown option {name!r}")
            expected = {"int": int, "float": float, "boolean": bool}.get(option.type, str)
            if type(value) is not expected:
                raise ValueError(f"option {name!r} expected {option.type}, got {value!r}")
        changed = any(application.config.get(name) != value for name, value in values.items())
        application.settings.update(values)
        return changed

    def _name_hosts(self) -> None:
        """Writes the names that Kubernetes gives applications and units into every pod's /etc/hosts."""
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        for app in self.model.apps.values():
            for unit in app.units.values():
                if not unit.running or not unit.address:
                    continue
                services = [f"{app.name}{suffix}" for suffix in _service_suffixes(self.model.name)]
                pod = f"{app.name}-{unit.number}.{app.name}-endpoints.{self.model.name}.svc.cluster.local"
                lines.append(" ".join((unit.address, *services, pod)))
        for agent in self.agents.values():
            agent.pod.hosts.write_text("\n".join(lines) + "\n")


def _is_creation(event: Event, relation: Relation) -> bool:
    number = event.environment.get("JUJU_RELATION_ID", "").rpartition(":")[2]
    return event.name.endswith("-relation-created") and number == str(relation.id)


def _service_suffixes(model: str) -> Sequence[str]:
    names = ("", f".{model}", f".{model}.svc", f".{model}.svc.cluster.local")
    return [f"{kind}{name}" for kind in ("", "-endpoints") for name in names]


def _checked(name: str, action: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The action's parameters with defaults, as Juju's controller checks them."""
    known = (action or {}).get("params") or {}
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{name} has no parameters {sorted(unknown)}")
    types: dict[str, type | tuple[type, ...]] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
    for key, value in given.items():
        if not isinstance(value, types.get(known[key].get("type", ""), object)):
            raise ValueError(f"{name}: {key} must be a {known[key]['type']}, not {value!r}")
    if missing := set((action or {}).get("required") or ()) - given.keys():
        raise ValueError(f"{name} needs {sorted(missing)}")
    defaults = {key: schema["default"] for key, schema in known.items() if "default" in schema}
    return defaults | dict(given)


class _OpenFolder:
    """A temporary folder that others may enter."""

    def __enter__(self) -> str:
        self._path = Path(tempfile.mkdtemp(prefix="standin-"))
        self._path.chmod(0o755)
        return str(self._path)

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
