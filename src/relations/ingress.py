"""The way in: the requirer's side of ``ingress`` v2."""

from __future__ import annotations

from urllib.parse import urlsplit

from relations import addresses
from relations.databag import (
    Problem,
    decoded,
    encoded,
    remote,
    remote_name,
    single,
    write,
    write_for_application,
)
from relations.integration import Integration

ENDPOINT = "ingress"

# Only units that serve get requests. The Host header is one that the server answers whatever its name outside is.
_HEALTH_CHECK = {"path": "/-/ready", "hostname": "localhost", "interval": "10s", "timeout": "5s"}


class Ingress(Integration[str]):
    """The endpoint ``ingress``."""

    @property
    def url(self) -> str | None:
        """The URL from outside, without a slash at its end; None while there is none (see ``problem``)."""
        return self.offered

    def publish(self, port: int, scheme: str) -> None:
        """Says where this unit listens and, as leader, how to route to all of them. Open the port before."""
        relation = single(self._charm, ENDPOINT)
        if relation is None:
            return
        opened = any(each.port == port and each.protocol == "tcp" for each in self._charm.unit.opened_ports())
        application = {
            "model": encoded(self._charm.model.name),
            "name": encoded(self._charm.app.name),
            "port": encoded(port),
            "is_port_open": encoded(opened),
            "scheme": encoded(scheme),
            "strip-prefix": encoded(True),
            "healthcheck_params": encoded({**_HEALTH_CHECK, "scheme": scheme}),
        }
        write_for_application(self._charm, relation, application)
        address = addresses.address(self._charm, relation)
        own = {"host": encoded(addresses.name()), "ip": "" if address is None else encoded(address)}
        write(relation.data[self._charm.unit], own)

    def _load(self) -> str | Problem | None:
        relation = single(self._charm, ENDPOINT)
        if relation is None:
            return None
        provider, text = remote_name(relation), remote(relation).get("ingress")
        if not text:
            return Problem(f"waiting for {provider} to hand out a URL", waiting=True)
        content = decoded(text)
        url = content.get("url") if isinstance(content, dict) else None
        if not isinstance(url, str) or not _is_address(url):
            return Problem(f"{provider} handed out a URL that is not http://… or https://…")
        return url.rstrip("/")


def _is_address(url: str) -> bool:
    """Whether a text is the URL of a server and perhaps a path, with nothing else in it."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not set(url) & set(' @?#"\\<>')
    return named and plain and parts.scheme in ("http", "https")
