"""One hook's view of the model: Juju's hook tools by their names.

As with Juju, databags, secrets, ports and stored state that a hook writes are committed together when it succeeds, and
forgotten when it fails. Statuses, log lines, the workload's version and an action's log take effect at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from tests.standin.action_hooks import ActionHooks
from tests.standin.arguments import Arguments, ToolError, parse
from tests.standin.model import Status
from tests.standin.relation_hooks import RelationHooks
from tests.standin.secret_hooks import SecretHooks

_VALUED = frozenset(
    "-r --relation --format --file --label --description --expire --rotate --owner --revision --unit --app-name "
    "--log-level -l -s --endpoints".split()
)


@dataclass
class Hook(RelationHooks, SecretHooks, ActionHooks):
    """Answers the hook tools for one event of one unit; ``commit`` at the end of a successful one."""

    def __post_init__(self) -> None:
        self._state = dict(self.unit.state)

    def run(self, tool: str, arguments: Sequence[str], stdin: str = "") -> str:
        """What ``tool`` prints. Raises ToolError when it fails."""
        command: Callable[[Arguments, str], object] | None = getattr(self, f"tool_{tool.replace('-', '_')}", None)
        if command is None:
            raise ToolError(f"{tool} is not part of the stand-in")
        parsed = parse(arguments, _VALUED)
        answer = command(parsed, stdin)
        if answer is None:
            return ""
        if parsed.get("--format") == "json":
            return json.dumps(answer)
        return answer if isinstance(answer, str) else yaml.safe_dump(answer)

    def commit(self) -> None:
        """Makes what the hook wrote real, and tells who is concerned."""
        self.commit_secrets()
        self.commit_relations()
        self.unit.ports |= self.opened
        self.unit.ports -= self.closed
        self.unit.state = self._state

    def tool_is_leader(self, arguments: Arguments, stdin: str) -> bool:
        return self.is_leader

    def tool_config_get(self, arguments: Arguments, stdin: str) -> object:
        config = self.app.config
        return config.get(arguments.positional[0]) if arguments.positional else config

    def tool_status_get(self, arguments: Arguments, stdin: str) -> Mapping[str, Any]:
        if not arguments.has("--application"):
            return _status(self.unit.status)
        self.need_leader("status-get")
        units = {name: _status(unit.status) for name, unit in self.app.units.items()}
        return {"application-status": {**_status(self.app.status), "units": units}}

    def tool_status_set(self, arguments: Arguments, stdin: str) -> None:
        name = arguments.first("status")
        if name not in ("maintenance", "blocked", "waiting", "active"):
            raise ToolError(f'invalid status "{name}", expected one of [maintenance blocked waiting active]')
        status = Status(name, " ".join(arguments.positional[1:]))
        if arguments.has("--application"):
            self.need_leader("status-set")
            self.app.status = status
        else:
            self.unit.status = status

    def tool_application_version_set(self, arguments: Arguments, stdin: str) -> None:
        self.app.workload_version = arguments.first("version")

    def tool_juju_log(self, arguments: Arguments, stdin: str) -> None:
        level = arguments.get("--log-level", "-l", default="INFO")
        self.model.log.append(f"{self.unit.name} {level} {' '.join(arguments.positional)}")

    def tool_open_port(self, arguments: Arguments, stdin: str) -> None:
        port = _port(arguments)
        self.opened.add(port)
        self.closed.discard(port)

    def tool_close_port(self, arguments: Arguments, stdin: str) -> None:
        port = _port(arguments)
        self.closed.add(port)
        self.opened.discard(port)

    def tool_opened_ports(self, arguments: Arguments, stdin: str) -> list[str]:
        return sorted(self.unit.ports)

    def tool_network_get(self, arguments: Arguments, stdin: str) -> Mapping[str, object]:
        binding = arguments.first("binding name")
        if self.charm is not None and binding not in self.charm.endpoints:
            raise ToolError(f'no network config found for binding "{binding}"')
        address = {"hostname": "", "address": self.unit.address, "value": self.unit.address, "cidr": ""}
        return {
            "bind-addresses": [{"mac-address": "", "interface-name": "eth0", "addresses": [address]}],
            "egress-subnets": [f"{self.unit.address}/32"],
            "ingress-addresses": [self.unit.address],
        }

    def tool_goal_state(self, arguments: Arguments, stdin: str) -> Mapping[str, object]:
        since = "2026-01-01 00:00:00Z"
        units = {
            name: {"status": "dying" if unit.dying else "active", "since": since}
            for name, unit in self.app.units.items()
        }
        relations: dict[str, dict[str, object]] = {}
        for relation in self.model.relations_of(self.app.name):
            local = relation.local(self.app.name)
            if local is None or relation.dying or relation.is_peer:
                continue
            remote = relation.remote(self.app.name).app
            goals = relations.setdefault(local.name, {})
            for name in (remote, *self.model.app(remote).units):
                goals[name] = {"status": "joined", "since": since}
        return {"units": units, "relations": relations}

    def tool_storage_list(self, arguments: Arguments, stdin: str) -> list[str]:
        names = self.charm.storage if self.charm is not None else ()
        return [f"{name}/0" for name in names if arguments.positional in ((), (name,))]

    def tool_storage_get(self, arguments: Arguments, stdin: str) -> object:
        identity = arguments.get("-s", default=self.environment.get("JUJU_STORAGE_ID", ""))
        name = identity.partition("/")[0]
        if self.charm is None or name not in self.charm.storage:
            raise ToolError(f'storage "{identity}" not found')
        values = {"kind": "filesystem", "location": f"/var/lib/juju/storage/{identity}"}
        return values[arguments.positional[0]] if arguments.positional else values

    def tool_state_get(self, arguments: Arguments, stdin: str) -> object:
        return self._state.get(arguments.positional[0], "") if arguments.positional else self._state

    def tool_state_set(self, arguments: Arguments, stdin: str) -> None:
        self._state.update(yaml.safe_load(stdin) if arguments.get("--file") == "-" else _pairs(arguments))

    def tool_state_delete(self, arguments: Arguments, stdin: str) -> None:
        self._state.pop(arguments.first("key"), None)

    def tool_credential_get(self, arguments: Arguments, stdin: str) -> None:
        raise ToolError("cannot access cloud credentials" if self.app.trusted else "permission denied")


def _status(status: Status) -> dict[str, object]:
    return {"status": status.name, "message": status.message, "status-data": {}}


def _port(arguments: Arguments) -> str:
    number, _, protocol = arguments.first("port").partition("/")
    return f"{number}/{protocol or 'tcp'}"


def _pairs(arguments: Arguments) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in arguments.positional)
