"""The names under which the server is reached: for its certificate, its allowed hosts and the tracking URI."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import ops

from server_config import PORT

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def service_name(app: str, model: str) -> str:
    """The name of the application inside of the cluster."""
    return f"{app}.{model}.svc.cluster.local"


def certificate_names(unit: str, model: str, external_hostname: str) -> tuple[str, ...]:
    """The names for which a certificate is asked."""
    app = unit.rpartition("/")[0]
    pod = unit.replace("/", "-")
    names = [*_service_names(app, model), *(f"{pod}.{name}" for name in _service_names(f"{app}-endpoints", model))]
    return tuple(dict.fromkeys([service_name(app, model), *names, *([external_hostname] if external_hostname else [])]))


def allowed_hosts(
    unit: str, model: str, addresses: Iterable[str], external: Iterable[str | None], patterns: Iterable[str]
) -> tuple[str, ...]:
    """The Host headers to answer, each with every port too. ``external``: a host name, a URL, or None."""
    app = unit.rpartition("/")[0]
    names = [*_LOCAL, *_service_names(app, model), *_service_names(f"{app}-endpoints", model)]
    names += certificate_names(unit, model, "")
    names += [f"[{address}]" if ":" in address else address for address in addresses]
    names += [host for each in external if each and (host := _host(each))]
    names += patterns
    # Brackets would be a set of characters to the server's wildcards.
    with_ports = [name if _has_port(name) else f"{name.replace('[', '[[]', 1)}:*" for name in names]
    return tuple(dict.fromkeys([*names, *with_ports]))


def tracking_uri(app: str, model: str, *, tls: bool, ingress: str | None, external_hostname: str) -> str:
    """The URI for MLflow's clients, the most public that there is."""
    if ingress:
        return ingress
    return f"{'https' if tls else 'http'}://{external_hostname or service_name(app, model)}:{PORT}"


def addresses(charm: ops.CharmBase, endpoint: str) -> tuple[str, ...]:
    """The addresses of this unit; none where Juju does not know them yet."""
    try:
        binding = charm.model.get_binding(endpoint)
        network = None if binding is None else binding.network
    except ops.ModelError:
        return ()
    if network is None:
        return ()
    found = [network.bind_address, network.ingress_address, *network.ingress_addresses]
    return tuple(sorted({str(address) for address in found if address}))


def _service_names(app: str, model: str) -> tuple[str, ...]:
    return (app, f"{app}.{model}", f"{app}.{model}.svc", service_name(app, model))


def _host(text: str) -> str | None:
    if "://" not in text:
        return text
    name = urlsplit(text).hostname
    return f"[{name}]" if name and ":" in name else name


def _has_port(pattern: str) -> bool:
    return ":" in pattern.rpartition("]")[2]
