"""The unit agent: dispatches one event to the charm of a unit, and watches the unit's Pebble for what to tell next."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from ops import pebble
from tests.standin.hooks import Hook
from tests.standin.lifecycle import Lifecycle
from tests.standin.model import Action, Event, Model, Status, Unit
from tests.standin.pod import Pod
from tests.standin.tool_server import ToolServer

JUJU_VERSION = "3.6.9"


_NOTICES = (pebble.NoticeType.CUSTOM, pebble.NoticeType.CHANGE_UPDATE)
_CHECK_EVENTS = {"perform-check": ("Error", "failed"), "recover-check": ("Done", "recovered")}
"""The kind of a change of Pebble's → the status at its end that is told, and the event's name."""


class HookFailed(Exception):
    """The charm's process ended with an error; the message holds what it printed."""


@dataclass(frozen=True)
class Dispatched:
    """One event that a charm has seen."""

    unit: str
    event: str
    seconds: float
    calls: tuple[tuple[str, ...], ...]
    """The hook tools that it called, with their arguments."""


@dataclass
class _Watched:
    """What the agent knows of a container's Pebble."""

    starts: int = 0
    notices: dict[str, datetime.datetime] = field(default_factory=dict)
    """Each notice that was looked at, and when it had been repeated last."""


class Agent:
    """One unit's agent, which listens to hook tools on ``host``."""

    def __init__(self, model: Model, lifecycle: Lifecycle, unit: Unit, pod: Pod, host: str) -> None:
        self.pod = pod
        self.unit = unit
        self.dispatched: list[Dispatched] = []
        self._model = model
        self._lifecycle = lifecycle
        self._tools = ToolServer(host)
        self._watched: dict[str, _Watched] = {}

    def dispatch(self, event: Event, timeout: float = 300) -> None:
        """Runs the charm for an event and commits what it wrote. Raises HookFailed, with nothing committed."""
        names = {"JUJU_DISPATCH_PATH": f"hooks/{event.name}", "JUJU_HOOK_NAME": event.name, **event.environment}
        for container in self.containers:
            if event.name.startswith(f"{container}-pebble-"):
                names["JUJU_WORKLOAD_NAME"] = container
        hook = Hook(self._model, self._lifecycle, self.unit, event)
        code, output = self._run(hook, names, event.name, timeout)
        if code:
            self.unit.status = Status("error", f'hook failed: "{event.name}"')
            raise HookFailed(f"{event.name} of {self.unit.name} ended with {code}:\n{output}{self._log()}")
        hook.commit()
        if event.name == "start":
            self.unit.started = True

    def run(self, action: Action, timeout: float = 300) -> None:
        """Runs an action, which takes the results. What it wrote is committed even if it calls itself failed."""
        identity = str(uuid.uuid4().int % 10**6)
        names = {
            "JUJU_DISPATCH_PATH": f"actions/{action.name}",
            "JUJU_HOOK_NAME": "",
            "JUJU_ACTION_NAME": action.name,
            "JUJU_ACTION_UUID": identity,
        }
        hook = Hook(self._model, self._lifecycle, self.unit, Event(action.name), action)
        code, action.output = self._run(hook, names, action.name, timeout)
        if code:
            action.failure = f"exit status {code}"
        else:
            hook.commit()

    def poll(self) -> None:
        """Queues what the unit's Pebbles have to tell: ready, checks that failed or recovered, notices."""
        if not self.unit.started or not self.pod.is_running:
            return
        for container in self.containers:
            try:
                self._poll(container, self.pod.pebble(container))
            except (pebble.ConnectionError, pebble.APIError):
                continue

    def close(self) -> None:
        self._tools.close()

    def _poll(self, container: str, client: pebble.Client) -> None:
        starts = self.pod.starts[container]
        watched = self._watched.setdefault(container, _Watched())
        if watched.starts != starts:
            self._watched[container] = watched = _Watched(starts)
            self._lifecycle.tell(self.unit, f"{container}-pebble-ready")
        for notice in client.get_notices(users=pebble.NoticesUsers.ALL, types=_NOTICES):
            if watched.notices.get(notice.id) == notice.last_repeated:
                continue
            watched.notices[notice.id] = notice.last_repeated
            if notice.type is pebble.NoticeType.CUSTOM:
                told = {"JUJU_NOTICE_ID": notice.id, "JUJU_NOTICE_TYPE": "custom", "JUJU_NOTICE_KEY": notice.key}
                self._lifecycle.tell(self.unit, f"{container}-pebble-custom-notice", **told)
            elif notice.last_data.get("kind") in _CHECK_EVENTS:
                # A check has failed when performing it ends in an error, and recovered when recovering it is done.
                change = client.get_change(pebble.ChangeID(notice.key))
                status, what = _CHECK_EVENTS[change.kind]
                if change.status == status:
                    told = {"JUJU_PEBBLE_CHECK_NAME": notice.last_data["check-name"]}
                    self._lifecycle.tell(self.unit, f"{container}-pebble-check-{what}", **told)

    def _run(self, hook: Hook, names: Mapping[str, str], event: str, timeout: float) -> tuple[int, str]:
        environment = {
            "JUJU_UNIT_NAME": self.unit.name,
            "JUJU_MODEL_NAME": self._model.name,
            "JUJU_MODEL_UUID": self._model.uuid,
            "JUJU_VERSION": JUJU_VERSION,
            "JUJU_AGENT_SOCKET_ADDRESS": self._tools.address,
            "JUJU_AGENT_SOCKET_NETWORK": "tcp",
            "JUJU_PRINCIPAL_UNIT": "",
            "JUJU_AVAILABILITY_ZONE": "",
            **names,
        }
        began = time.monotonic()
        self._tools.hook, self._tools.calls = hook, []
        try:
            done = self.pod.run_charm(environment, timeout)
        finally:
            self._tools.hook = None
        calls = tuple(self._tools.calls)
        self.dispatched.append(Dispatched(self.unit.name, event, time.monotonic() - began, calls))
        return done.returncode, done.stdout + done.stderr

    @property
    def containers(self) -> list[str]:
        charm = self._model.app(self.unit.app).charm
        return list(charm.containers) if charm is not None else []

    def _log(self) -> str:
        """The unit's log, without what is for developers."""
        own = [line for line in self._model.log if line.startswith(f"{self.unit.name} ")]
        return "\n".join([line for line in own if line.split()[1] not in ("DEBUG", "TRACE")][-40:])
