"""What Juju has no word for in Kubernetes: spreading units, keeping one up during a drain, resources, a way in.

Everything is written by server-side apply under one field manager, so that Kubernetes itself remembers which fields
are ours: an option that is unset gives its field back, and what Juju wrote is never touched.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx2
from lightkube import Client
from lightkube.core.exceptions import ConfigError
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import Service
from lightkube.resources.policy_v1 import PodDisruptionBudget
from lightkube.types import PatchType
from lightkube.utils.quantity import parse_quantity

logger = logging.getLogger(__name__)

OWNER = "mlflow-tracking-k8s"
"""The field manager, and the value of the label `app.kubernetes.io/managed-by` on all that is created here."""

CONTAINER = "tracking-server"
TIMEOUT_SECONDS = 10.0

_SERVICE_TYPES = {"node-port": "NodePort", "load-balancer": "LoadBalancer"}
# The label by which Juju's own StatefulSet and Service find an application's pods.
_POD_LABEL = "app.kubernetes.io/name"

Kind = TypeVar("Kind", StatefulSet, Service, PodDisruptionBudget)
Fields = Mapping[str, Any]


class ClusterError(Exception):
    """Kubernetes was asked for something and it is not done; the text says why, in one line."""


class ClusterForbidden(ClusterError):
    """The application may not do this: it was deployed without --trust, or a quota or policy forbids it."""


class ClusterRejected(ClusterError):
    """Kubernetes finds the request itself wrong, such as a memory request above the limit, or a name is taken."""


class ClusterUnavailable(ClusterError):
    """The API does not answer, or not as it should; the same request may succeed later."""


@dataclass(frozen=True)
class ClusterSettings:
    """What is asked of Kubernetes. Resources are its quantities, such as 500m or 2Gi; None leaves them to Juju."""

    units: int
    external_service: Literal["none", "node-port", "load-balancer"]
    port: int
    cpu_request: str | None = None
    cpu_limit: str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        """The settings in the words of a container's `resources`; what is not set is absent."""
        asked = {
            "requests": {"cpu": self.cpu_request, "memory": self.memory_request},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }
        return {
            kind: present
            for kind, quantities in asked.items()
            if (present := {name: quantity for name, quantity in quantities.items() if quantity})
        }


def needs_kubernetes(settings: ClusterSettings) -> bool:
    """Says whether the settings ask for anything that needs --trust."""
    return settings.units > 1 or settings.external_service != "none" or bool(settings.resources)


def in_cluster_client(namespace: str) -> Client:
    """Returns a client of the cluster that this pod runs in.

    Raises:
        ConfigError: there is no service account here.
    """
    for library in ("httpcore2", "httpx2"):
        # Dozens of lines for every request, and each line of a charm's log is a process.
        logging.getLogger(library).setLevel(logging.WARNING)
    return Client(namespace=namespace, field_manager=OWNER, timeout=httpx2.Timeout(TIMEOUT_SECONDS))


class Cluster:
    """The application's objects in Kubernetes. Only the leader should write them."""

    def __init__(self, app: str, model: str, client: Callable[[str], Client] = in_cluster_client) -> None:
        """Takes the application, its model (the namespace), and what makes a client for a namespace."""
        self._app = app
        self._model = model
        self._make_client = client
        self.service_name = f"{app}-external"
        self.budget_name = f"{app}-units"

    def apply(self, settings: ClusterSettings) -> bool:
        """Reads what there is and writes what differs; returns whether anything was written.

        What is no longer asked for is removed. Where nothing is asked for and reading is refused, there can be nothing
        to remove and nothing is raised. Changed resources, and the first scaling to two units, restart all pods.

        Raises:
            ClusterError: one of its kinds, at the first request that fails.
        """
        asked = needs_kubernetes(settings)
        with _translated(quiet=not asked), self._make_client(self._model) as client:
            pods = _read(client, StatefulSet, self._app, quiet=not asked)
            if pods is None and asked:
                raise ClusterUnavailable(f"StatefulSet {self._app} is not in namespace {self._model}")
            wrote = self._keep(client, PodDisruptionBudget, self.budget_name, self._budget(settings), pods, asked)
            wrote |= self._keep(client, Service, self.service_name, self._service(settings), pods, asked)
            # The last one, because it may restart the pod that this code runs in.
            if pods is not None:
                wrote |= self._shape_pods(client, pods, settings)
            return wrote
        return False

    def remove(self) -> bool:
        """Removes the Service and the PodDisruptionBudget; returns whether there was one.

        Juju removes the StatefulSet; taking our fields out of it would restart pods that are about to end.

        Raises:
            ClusterError: one of its kinds.
        """
        with _translated(quiet=True), self._make_client(self._model) as client:
            wrote = self._keep(client, PodDisruptionBudget, self.budget_name, None, None, asked=False)
            return self._keep(client, Service, self.service_name, None, None, asked=False) | wrote
        return False

    def _keep(
        self, client: Client, kind: type[Kind], name: str, wanted: Fields | None, pods: StatefulSet | None, asked: bool
    ) -> bool:
        """Makes one object of ours equal to what is wanted, or absent; returns whether it wrote."""
        live = _read(client, kind, name, quiet=not asked)
        if live is not None and not self._is_ours(live):
            if wanted is None:
                return False
            raise ClusterRejected(f"{kind.__name__} {name} exists already and is not this application's")
        if wanted is None:
            if live is None:
                return False
            return _delete(client, kind, name)
        body = {**wanted, "metadata": self._metadata(name, pods)}
        if live is not None and _contains(live.to_dict(), body):
            return False
        _apply(client, kind, name, body)
        return True

    def _is_ours(self, live: StatefulSet | Service | PodDisruptionBudget) -> bool:
        labels = (live.metadata.labels if live.metadata else None) or {}
        return all(labels.get(name) == value for name, value in self._labels.items())

    @property
    def _labels(self) -> dict[str, str]:
        # Without app.kubernetes.io/name, by which Juju looks up objects of its own.
        return {"app.kubernetes.io/managed-by": OWNER, "app.kubernetes.io/instance": self._app}

    def _metadata(self, name: str, pods: StatefulSet | None) -> Fields:
        """Names the StatefulSet as owner: Kubernetes removes what it owns even when the remove hook never runs."""
        metadata: dict[str, Any] = {"name": name, "labels": self._labels}
        if pods is not None and pods.metadata is not None:
            metadata["ownerReferences"] = [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": self._app, "uid": pods.metadata.uid}
            ]
        return metadata

    def _budget(self, settings: ClusterSettings) -> Fields | None:
        if settings.units < 2:
            return None
        return {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {_POD_LABEL: self._app}}}}

    def _service(self, settings: ClusterSettings) -> Fields | None:
        if settings.external_service == "none":
            return None
        port = {"name": CONTAINER, "port": settings.port, "protocol": "TCP", "targetPort": settings.port}
        return {
            "spec": {
                "type": _SERVICE_TYPES[settings.external_service],
                "selector": {_POD_LABEL: self._app},
                "ports": [port],
            }
        }

    def _shape_pods(self, client: Client, pods: StatefulSet, settings: ClusterSettings) -> bool:
        owned = _owned_pod_fields(pods)
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {_POD_LABEL: self._app}},
        }
        wanted: dict[str, Any] = {}
        # A single unit keeps it: taking it away would restart the unit for nothing.
        if settings.units > 1 or "f:topologySpreadConstraints" in owned:
            wanted["topologySpreadConstraints"] = [spread]
        if settings.resources:
            wanted["containers"] = [{"name": CONTAINER, "resources": settings.resources}]

        live = pods.to_dict()["spec"]["template"]["spec"]
        constraints = live.get("topologySpreadConstraints") or []
        spread_differs = "topologySpreadConstraints" in wanted and not any(
            _contains(one, spread) for one in constraints
        )
        if not spread_differs and not self._resources_differ(live, owned, settings):
            return False
        _apply(client, StatefulSet, self._app, {"spec": {"template": {"spec": wanted}}})
        return True

    def _resources_differ(self, live: Fields, owned: Fields, settings: ClusterSettings) -> bool:
        container: Fields = next((one for one in live["containers"] if one["name"] == CONTAINER), {})
        resources = container.get("resources") or {}
        ours = owned.get("f:containers", {}).get(_list_key(name=CONTAINER), {}).get("f:resources", {})
        for kind in ("requests", "limits"):
            asked = settings.resources.get(kind, {})
            present = resources.get(kind) or {}
            if {name.removeprefix("f:") for name in ours.get(f"f:{kind}", {})} != set(asked):
                return True
            if any(not _same_quantity(present.get(name), quantity) for name, quantity in asked.items()):
                return True
        return False


@contextlib.contextmanager
def _translated(*, quiet: bool) -> Iterator[None]:
    """Translates errors of the client; if `quiet`, being unable to ask is none."""
    try:
        yield
    except ConfigError as error:
        if not quiet:
            raise ClusterUnavailable(f"no access to Kubernetes: {error}") from error
    except httpx2.HTTPStatusError as error:
        raise _translate(error) from error
    except httpx2.HTTPError as error:
        if not quiet:
            raise ClusterUnavailable(f"Kubernetes does not answer: {str(error) or type(error).__name__}") from error
        logger.warning("Kubernetes does not answer, to see whether anything is left to remove: %s", error)


def _read(client: Client, kind: type[Kind], name: str, *, quiet: bool) -> Kind | None:
    """Returns the object, or None where there is none or, if `quiet`, where reading it is refused."""
    try:
        return client.get(kind, name)
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404 or (quiet and error.response.status_code == 403):
            return None
        raise


def _delete(client: Client, kind: type[Kind], name: str) -> bool:
    try:
        client.delete(kind, name)
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return False
        raise
    return True


def _apply(client: Client, kind: type[Kind], name: str, body: Fields) -> None:
    api_version = "v1" if kind is Service else "apps/v1" if kind is StatefulSet else "policy/v1"
    document = {"apiVersion": api_version, "kind": kind.__name__, "metadata": {"name": name}, **body}
    client.patch(kind, name, document, patch_type=PatchType.APPLY, field_manager=OWNER, force=True)


def _owned_pod_fields(pods: StatefulSet) -> Fields:
    """Returns the fields of the pods' spec that were applied under our name, as Kubernetes records them (fieldsV1)."""
    for entry in (pods.metadata.managedFields if pods.metadata else None) or []:
        if entry.manager == OWNER and entry.operation == "Apply" and not entry.subresource:
            owned: Any = entry.fieldsV1 or {}
            for step in ("f:spec", "f:template", "f:spec"):
                owned = owned.get(step, {})
            return dict(owned)
    return {}


def _list_key(**keys: str) -> str:
    return "k:" + json.dumps(keys, separators=(",", ":"))


def _contains(live: Any, wanted: Any) -> bool:
    """Says whether all wanted fields stand in the live object; Kubernetes adds defaults beside them."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(_contains(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(_contains, live, wanted))
    return bool(live == wanted)


def _same_quantity(live: str | None, wanted: str) -> bool:
    """Compares values, because Kubernetes rewrites them: 1000m becomes 1."""
    try:
        return parse_quantity(live) == parse_quantity(wanted)
    except ValueError:
        return False


def _translate(error: httpx2.HTTPStatusError) -> ClusterError:
    code = error.response.status_code
    text = " ".join(str(error).split())
    if code in (401, 403):
        return ClusterForbidden(text)
    if code in (400, 422):
        return ClusterRejected(text)
    return ClusterUnavailable(f"Kubernetes answers {code}: {text}")
