"""The hook tools of relations: who may read and write which databag."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from tests.standin.arguments import Arguments, ToolError
from tests.standin.hook_base import HookBase
from tests.standin.model import Relation


@dataclass
class RelationHooks(HookBase):
    _written: dict[tuple[int, str], dict[str, str]] = field(init=False, default_factory=dict)

    def commit_relations(self) -> None:
        for (relation_id, owner), changes in self._written.items():
            relation = self.model.relations.get(relation_id)
            if relation is None:
                continue
            bag = relation.bag(owner)
            before = dict(bag)
            _apply(bag, changes)
            if bag != before:
                self.lifecycle.databag_changed(relation, owner)

    def tool_relation_ids(self, arguments: Arguments, stdin: str) -> list[str]:
        name = arguments.first("endpoint name")
        relations = self.model.relations_of(self.unit.app, name)
        return [f"{name}:{relation.id}" for relation in relations if self._knows(relation)]

    def tool_relation_list(self, arguments: Arguments, stdin: str) -> object:
        relation = self._relation(arguments)
        if arguments.has("--app"):
            return relation.remote(self.unit.app).app
        return sorted(relation.visible.get(self.unit.name, ()))

    def tool_relation_model_get(self, arguments: Arguments, stdin: str) -> dict[str, str]:
        self._relation(arguments)
        return {"uuid": self.model.uuid}

    def tool_relation_get(self, arguments: Arguments, stdin: str) -> object:
        relation = self._relation(arguments)
        key = arguments.positional[0] if arguments.positional else "-"
        owner = arguments.positional[1] if len(arguments.positional) > 1 else ""
        owner = owner or self.environment.get("JUJU_REMOTE_UNIT", "")
        if arguments.has("--app"):
            owner = owner.partition("/")[0] or self.environment.get("JUJU_REMOTE_APP", "")
        if not owner:
            raise ToolError("no unit id specified")
        self._may_read(relation, owner)
        content = dict(relation.data.get(owner, {}))
        _apply(content, self._written.get((relation.id, owner), {}))
        return content if key in ("-", "") else content.get(key)

    def tool_relation_set(self, arguments: Arguments, stdin: str) -> None:
        relation = self._relation(arguments)
        owner = self.unit.app if arguments.has("--app") else self.unit.name
        if arguments.has("--app") and not self.is_leader:
            raise ToolError("cannot write relation settings")
        changes: dict[str, object] = (yaml.safe_load(stdin) or {}) if arguments.get("--file") == "-" else {}
        changes |= dict(pair.split("=", 1) for pair in arguments.positional)
        self._written.setdefault((relation.id, owner), {}).update(
            {key: "" if value is None else str(value) for key, value in changes.items()}
        )

    def _relation(self, arguments: Arguments) -> Relation:
        reference = arguments.get("-r", "--relation", default=self.environment.get("JUJU_RELATION_ID", ""))
        name, _, number = reference.rpartition(":")
        relation = self.model.relations.get(int(number)) if number.isdigit() else None
        local = relation.local(self.unit.app) if relation is not None else None
        if relation is None or local is None or name not in ("", local.name) or not self._knows(relation):
            raise ToolError(f'invalid value "{reference}" for option -r: relation not found')
        return relation

    def _knows(self, relation: Relation) -> bool:
        """Whether the unit has entered the relation and has not yet seen it broken."""
        return self.unit.name in relation.members

    def _may_read(self, relation: Relation, owner: str) -> None:
        """Raises ToolError for a databag that Juju shows to others only."""
        app = owner.partition("/")[0]
        if app not in {endpoint.app for endpoint in relation.endpoints}:
            raise ToolError("permission denied")
        if app != self.unit.app or relation.is_peer or owner == self.unit.name:
            return
        if "/" in owner or not self.is_leader:
            raise ToolError("permission denied")


def _apply(bag: dict[str, str], changes: dict[str, str]) -> None:
    for key, value in changes.items():
        if value:
            bag[key] = value
        else:
            bag.pop(key, None)
