"""PostgreSQL: the requirer's side of ``postgresql_client``, in the dialect (v0) that published charms speak."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import ops

from relations import pem
from relations.databag import (
    Problem,
    encoded,
    remote,
    remote_name,
    secret,
    single,
    write_for_application,
)
from relations.integration import Integration

ENDPOINT = "database"
DATABASE = "mlflow"
"""The name of the database that we ask for."""

_REQUESTED_SECRETS = ("username", "password", "tls", "tls-ca", "uris")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?", re.ASCII)
_DEFAULT_PORT = 5432


@dataclass(frozen=True)
class DatabaseConnection:
    """Where the database is and how to log in.

    ``identity`` names this database among all that were ever integrated. ``hosts`` are "host:port", IPv6 in brackets.
    ``ca`` is PEM. ``tls`` says that the server speaks TLS; without ``ca`` its certificate cannot be verified.
    """

    identity: str
    hosts: tuple[str, ...]
    database: str
    username: str
    password: str = field(repr=False)
    tls: bool = False
    ca: str | None = None
    read_only_hosts: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The URI with the password inside, every part quoted; of several hosts, the one that takes writes."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        query = "?target_session_attrs=read-write" if len(self.hosts) > 1 else ""
        return f"postgresql://{login}@{','.join(self.hosts)}/{quote(self.database, safe='')}{query}"


class Database(Integration[DatabaseConnection]):
    """The endpoint ``database``."""

    @property
    def connection(self) -> DatabaseConnection | None:
        """The database; None while there is none, or none that can be used (see ``problem``)."""
        return self.offered

    def request(self) -> None:
        """Asks for the database, as leader."""
        relation = single(self._charm, ENDPOINT)
        if relation is not None:
            contents = {"database": DATABASE, "requested-secrets": encoded(_REQUESTED_SECRETS)}
            write_for_application(self._charm, relation, contents)

    def _load(self) -> DatabaseConnection | Problem | None:
        relation = single(self._charm, ENDPOINT)
        if relation is None:
            return None
        databag, provider = remote(relation), remote_name(relation)
        contents = self._with_secrets(relation, databag)
        if contents is None:
            return Problem(f"waiting for access to the secrets of {provider}", waiting=True)
        return _connection(contents, relation.id, provider)

    def _with_secrets(self, relation: ops.Relation, databag: Mapping[str, str]) -> Mapping[str, str] | None:
        """The databag with its secrets resolved: what a secret holds wins over plain text."""
        contents = dict(databag)
        for purpose in ("user", "tls"):
            if secret_id := databag.get(f"secret-{purpose}"):
                content = secret(self._charm, relation, secret_id, purpose)
                if content is None:
                    return None
                contents |= content
        return contents


def _connection(contents: Mapping[str, str], relation_id: int, provider: str) -> DatabaseConnection | Problem:
    username, password = contents.get("username"), contents.get("password")
    if not username or not password or not contents.get("endpoints"):
        return Problem(f"waiting for {provider} to hand out a database", waiting=True)
    database = contents.get("database") or DATABASE
    if any("\0" in text for text in (username, password, database)):
        return Problem(f"{provider} handed out a name or password with a zero byte, which PostgreSQL cannot have")
    hosts, read_only_hosts = _hosts(contents["endpoints"]), _hosts(contents.get("read-only-endpoints", ""))
    if not hosts or read_only_hosts is None:
        return Problem(f"{provider} handed out an endpoint that is not HOST:PORT")
    tls = contents.get("tls", "").strip().lower() in ("true", "enabled")
    ca = contents.get("tls-ca", "").strip() if tls else ""
    authorities = pem.certificates(ca) if ca else ()
    if authorities is None:
        return Problem(f"{provider} handed out a certificate authority that is not PEM")
    return DatabaseConnection(
        identity=f"{relation_id}:{database}",
        hosts=hosts,
        database=database,
        username=username,
        password=password,
        tls=tls,
        ca=pem.bundle(authorities) or None,
        read_only_hosts=read_only_hosts,
    )


def _hosts(text: str) -> tuple[str, ...] | None:
    """The hosts of a list with commas, each once; None where one is no host."""
    hosts = [_host(part.strip()) for part in text.split(",") if part.strip()]
    found = tuple(dict.fromkeys(host for host in hosts if host is not None))
    return found if None not in hosts else None


def _host(text: str) -> str | None:
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(name) or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    else:
        name, _, port = text.rpartition(":") if ":" in text else (text, "", "")
        if ":" in name and not _is_ipv6(name):
            # An address without brackets and without a port.
            name, port = text, ""
    if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        return None
    if _is_ipv6(name):
        name = f"[{name}]"
    elif _HOST.fullmatch(name) is None:
        return None
    return f"{name}:{int(port) if port else _DEFAULT_PORT}"


def _is_ipv6(text: str) -> bool:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    # A zone means something on one machine only, and its % would need quoting in a URI.
    return address.scope_id is None
