"""The hook tools of secrets: revisions, labels, grants, and who follows what."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.standin.arguments import Arguments, ToolError
from tests.standin.hook_base import HookBase
from tests.standin.model import Consumer, Secret


@dataclass
class SecretHooks(HookBase):
    _added: dict[str, Secret] = field(init=False, default_factory=dict)
    _contents: dict[str, dict[str, str]] = field(init=False, default_factory=dict)
    _metadata: dict[str, dict[str, str]] = field(init=False, default_factory=dict)
    _granted: list[tuple[Secret, str, int | None]] = field(init=False, default_factory=list)
    _revoked: list[tuple[Secret, str]] = field(init=False, default_factory=list)
    _removed: list[tuple[Secret, int | None]] = field(init=False, default_factory=list)

    def commit_secrets(self) -> None:
        self.model.secrets.update(self._added)
        for identity, content in self._contents.items():
            secret = self.model.secrets[identity]
            # Juju makes no revision of what is the same.
            if secret.revisions[secret.latest] != content:
                secret.revisions[secret.latest + 1] = content
                self.lifecycle.secret_changed(secret)
        for identity, values in self._metadata.items():
            for name, value in values.items():
                setattr(self.model.secrets[identity], name, value)
        for secret, grantee, relation in self._granted:
            secret.grants[grantee] = relation
        for secret, grantee in self._revoked:
            secret.grants.pop(grantee, None)
        for secret, revision in self._removed:
            if revision is not None and len(secret.revisions) > 1:
                secret.revisions.pop(revision, None)
            else:
                self.model.secrets.pop(secret.id, None)

    def tool_secret_add(self, arguments: Arguments, stdin: str) -> str:
        owner = self.unit.app if arguments.get("--owner", default="application") == "application" else self.unit.name
        if owner == self.unit.app:
            self.need_leader("secret-add")
        label = arguments.get("--label")
        if label and self._labelled(label) is not None:
            raise ToolError(f'secret with label "{label}" already exists')
        content = _content(arguments.positional)
        secret = self.model.new_secret(owner, content, label)
        # It is the model's only when the hook succeeds.
        self._added[secret.id] = self.model.secrets.pop(secret.id)
        self._metadata[secret.id] = _metadata(arguments)
        return secret.uri

    def tool_secret_set(self, arguments: Arguments, stdin: str) -> None:
        secret = self._owned(arguments.first("secret URI"))
        content = _content(arguments.positional[1:])
        if content:
            self._contents[secret.id] = content
        self._metadata.setdefault(secret.id, {}).update(_metadata(arguments))

    def tool_secret_get(self, arguments: Arguments, stdin: str) -> object:
        label = arguments.get("--label")
        reference = arguments.positional[0] if arguments.positional else ""
        secret = self._find(reference) if reference else self._labelled(label)
        if secret is None:
            wanted = f'"{reference}"' if reference else f'with label "{label}"'
            raise ToolError(f"secret {wanted} not found")
        if secret.is_owned_by(self.unit.name):
            return self._contents.get(secret.id) or secret.revisions[secret.latest]
        if not secret.is_granted_to(self.unit.name):
            raise ToolError("permission denied")
        if arguments.has("--peek"):
            return secret.revisions[secret.latest]
        consumer = secret.consumers.setdefault(self.unit.name, Consumer(secret.latest))
        if label:
            self._take_label(secret, label)
            consumer.label = label
        if arguments.has("--refresh") and consumer.revision != secret.latest:
            consumer.revision = secret.latest
            self.lifecycle.secret_followed(secret)
        return secret.revisions[consumer.revision]

    def tool_secret_info_get(self, arguments: Arguments, stdin: str) -> dict[str, object]:
        label = arguments.get("--label")
        secret = self._labelled(label) if label else self._find(arguments.first("secret URI"))
        if secret is None or not secret.is_owned_by(self.unit.name):
            raise ToolError(f'secret "{label or arguments.positional[0]}" not found')
        values = {
            "revision": secret.latest,
            "label": secret.label,
            "owner": "application" if secret.owner == self.unit.app else "unit",
            "description": secret.description,
            "rotation": secret.rotate or "never",
            **({"expiry": secret.expire} if secret.expire else {}),
        }
        return {secret.id: values}

    def tool_secret_ids(self, arguments: Arguments, stdin: str) -> list[str]:
        return [secret.id for secret in self.model.secrets.values() if secret.is_owned_by(self.unit.name)]

    def tool_secret_grant(self, arguments: Arguments, stdin: str) -> None:
        secret = self._owned(arguments.first("secret URI"))
        number = int(arguments.get("-r", "--relation").rpartition(":")[2] or -1)
        relation = self.model.relations.get(number)
        if relation is None or relation.local(self.unit.app) is None:
            raise ToolError("relation not found")
        self._granted.append((secret, arguments.get("--unit") or relation.remote(self.unit.app).app, number))

    def tool_secret_revoke(self, arguments: Arguments, stdin: str) -> None:
        secret = self._owned(arguments.first("secret URI"))
        reference = arguments.get("-r", "--relation")
        relation = self.model.relations.get(int(reference.rpartition(":")[2])) if reference else None
        app = relation.remote(self.unit.app).app if relation is not None else arguments.get("--app")
        self._revoked.append((secret, arguments.get("--unit") or app))

    def tool_secret_remove(self, arguments: Arguments, stdin: str) -> None:
        revision = arguments.get("--revision")
        self._removed.append((self._owned(arguments.first("secret URI")), int(revision) if revision else None))

    def _find(self, reference: str) -> Secret | None:
        identity = reference.removeprefix("secret:").rpartition("/")[2]
        return self._added.get(identity) or self.model.secrets.get(identity)

    def _labelled(self, label: str) -> Secret | None:
        """By the owner's label, or the one that this unit gave it as a consumer."""
        for secret in (*self._added.values(), *self.model.secrets.values()):
            consumer = secret.consumers.get(self.unit.name)
            owned = secret.is_owned_by(self.unit.name) and secret.label == label
            if label and (owned or (consumer is not None and consumer.label == label)):
                return secret
        return None

    def _take_label(self, secret: Secret, label: str) -> None:
        known = self._labelled(label)
        if known is not None and known is not secret:
            raise ToolError(f'cannot use label "{label}": it is in use for another secret')

    def _owned(self, reference: str) -> Secret:
        secret = self._find(reference)
        if secret is None:
            raise ToolError(f'secret "{reference}" not found')
        if not secret.is_owned_by(self.unit.name):
            raise ToolError("permission denied")
        if secret.owner == self.unit.app:
            self.need_leader("secrets of an application")
        return secret


def _content(pairs: tuple[str, ...]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs)


def _metadata(arguments: Arguments) -> dict[str, str]:
    given = {name: arguments.get(f"--{name}") for name in ("label", "description", "expire", "rotate")}
    return {name: value for name, value in given.items() if value}
