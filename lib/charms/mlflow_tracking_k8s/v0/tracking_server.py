"""Get an MLflow tracking server by a relation, or offer one.

## Use a tracking server

Declare the relation in the charm's metadata::

    requires:
      tracking-server:
        interface: mlflow_tracking
        limit: 1
        optional: true

Then ask the requirer for the server whenever it is needed; it keeps no state::

    from charms.mlflow_tracking_k8s.v0.tracking_server import TrackingServerRequirer

    class MyCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework):
            super().__init__(framework)
            self.mlflow = TrackingServerRequirer(self)
            framework.observe(self.mlflow.on.changed, self._reconcile)

        def _reconcile(self, _: ops.EventBase):
            server = self.mlflow.server
            if server is None:
                ...  # not related, or the server is not set up yet
            else:
                container.push(CA_FILE, server.ca or "")
                layer = {..., "environment": server.environment(ca_file=CA_FILE)}

``changed`` is emitted whenever the answer may be another one: the server's URI, its certificate authority or the
credentials were handed out, renewed or withdrawn. A charm that reconciles on all events need not observe it.

`TrackingServer.environment` gives the variables that MLflow's clients read. It may hold credentials: it belongs into
the workload's environment or a file of mode 0600, not into logs.

## Offer a tracking server

::

    self.consumers = TrackingServerProvider(self)
    self.consumers.publish("https://mlflow.example.com", ca=ca_pem)           # on any event, as often as you like
    self.consumers.hand_out(relation_id, username="ana", password="…")        # where the server asks for a login

Only the leader writes; every call writes what differs, and nothing else.

## The wire

The provider's application databag holds ``tracking-uri``; ``ca-certificate`` (PEM), where clients need it to verify the
server; and ``secret-credentials``, the id of a secret granted to the relation with ``username`` and ``password``, or
``token``, where the server asks for a login. Unknown keys are to be ignored. The requirer writes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import ops

LIBID = "7abf39f5f37a41f4bf01491102f9a4cd"
LIBAPI = 0
LIBPATCH = 1

DEFAULT_RELATION_NAME = "tracking-server"

_URI = "tracking-uri"
_CA = "ca-certificate"
_CREDENTIALS = "secret-credentials"
_SECRET_ID = re.compile(r"(?:secret:(?://[\w-]+/)?)?[A-Za-z0-9][\w-]*", re.ASCII)


@dataclass(frozen=True)
class TrackingServer:
    """A tracking server, as a client needs it.

    ``ca`` is the PEM of the authority that signs its certificate; None where the well-known ones do, and for HTTP.
    Either ``username`` and ``password``, or ``token``, or none of them is set.
    """

    uri: str
    ca: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def environment(self, *, ca_file: str | None = None) -> dict[str, str]:
        """The variables for MLflow's clients. ``ca_file`` is where ``ca`` was written for them; needed if there is one.

        Raises ValueError if the server has a ``ca`` and no file is named: clients would refuse the server.
        """
        if self.ca is not None and ca_file is None:
            raise ValueError("write .ca to a file and name it: MLflow's clients read it from there")
        variables = {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": ca_file if self.ca is not None else None,
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password,
            "MLFLOW_TRACKING_TOKEN": self.token,
        }
        return {name: value for name, value in variables.items() if value is not None}


class TrackingServerChangedEvent(ops.EventBase):
    """What `TrackingServerRequirer.server` says may have changed."""


class TrackingServerRequirerEvents(ops.ObjectEvents):
    """The events of `TrackingServerRequirer`."""

    changed = ops.EventSource(TrackingServerChangedEvent)


class TrackingServerRequirer(ops.Object):
    """The requirer's side of ``mlflow_tracking``."""

    on = TrackingServerRequirerEvents()

    def __init__(self, charm: ops.CharmBase, relation_name: str = DEFAULT_RELATION_NAME) -> None:
        super().__init__(charm, relation_name)
        self._charm = charm
        self._relation_name = relation_name
        events = charm.on[relation_name]
        for event in (events.relation_changed, events.relation_broken):
            self.framework.observe(event, self._on_relation)
        self.framework.observe(charm.on.secret_changed, self._on_secret_changed)

    @property
    def related(self) -> bool:
        """Whether a tracking server is integrated, ready or not."""
        return self._relation is not None

    @property
    def server(self) -> TrackingServer | None:
        """The tracking server; None while there is none, or it has not said enough to be used."""
        relation = self._relation
        if relation is None or relation.app is None:
            return None
        try:
            databag = dict(relation.data[relation.app])
        except ops.ModelError:
            return None
        uri, ca = databag.get(_URI, ""), databag.get(_CA, "").strip()
        if not _is_web_address(uri):
            return None
        credentials: Mapping[str, str] | None = {}
        if secret_id := databag.get(_CREDENTIALS):
            credentials = self._credentials(relation, secret_id)
        if credentials is None:
            return None
        username, password, token = (credentials.get(name) for name in ("username", "password", "token"))
        return TrackingServer(uri, ca + "\n" if ca else None, username, password, token)

    @property
    def _relation(self) -> ops.Relation | None:
        relations = self._charm.model.relations[self._relation_name]
        return min(relations, key=lambda relation: relation.id, default=None)

    def _credentials(self, relation: ops.Relation, secret_id: str) -> Mapping[str, str] | None:
        """The newest content of the secret; None where it cannot be read."""
        if _SECRET_ID.fullmatch(secret_id) is None:
            return None
        try:
            # By the label Juju says which secret changed; the newest revision is the one that logs in.
            return self._charm.model.get_secret(id=secret_id, label=_label(relation)).get_content(refresh=True)
        except ops.ModelError:
            return None

    def _on_relation(self, _: ops.RelationEvent) -> None:
        self.on.changed.emit()

    def _on_secret_changed(self, event: ops.SecretChangedEvent) -> None:
        relation = self._relation
        if relation is not None and event.secret.label == _label(relation):
            self.on.changed.emit()


class TrackingServerProvider:
    """The provider's side of ``mlflow_tracking``."""

    def __init__(self, charm: ops.CharmBase, relation_name: str = DEFAULT_RELATION_NAME) -> None:
        self._charm = charm
        self._relation_name = relation_name

    def publish(self, uri: str | None, ca: str | None = None) -> None:
        """Tells every requirer, as leader, where the server is. None withdraws it: the server cannot be used."""
        for relation in self._charm.model.relations[self._relation_name]:
            self._write(relation, {_URI: uri or "", _CA: ca or "" if uri else ""})

    def hand_out(
        self, relation_id: int, *, username: str | None = None, password: str | None = None, token: str | None = None
    ) -> None:
        """Gives one requirer, as leader, its credentials by a secret; other values than before are a new revision."""
        relation = self._charm.model.get_relation(self._relation_name, relation_id)
        if relation is None or not relation.active or not self._charm.unit.is_leader():
            return
        given = {"username": username, "password": password, "token": token}
        content = {name: value for name, value in given.items() if value is not None}
        try:
            secret = self._charm.model.get_secret(label=_label(relation))
        except ops.SecretNotFoundError:
            secret = self._charm.app.add_secret(content, label=_label(relation))
            secret.grant(relation)
            self._write(relation, {_CREDENTIALS: secret.id or ""})
        else:
            if secret.peek_content() != content:
                secret.set_content(content)

    def _write(self, relation: ops.Relation, contents: Mapping[str, str]) -> None:
        if not self._charm.unit.is_leader():
            return
        databag = relation.data[self._charm.app]
        differing = {name: value for name, value in contents.items() if databag.get(name, "") != value}
        if differing:
            databag.update(differing)


def _label(relation: ops.Relation) -> str:
    return f"{relation.name}-{relation.id}-credentials"


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False
