"""What the charm asks of Kubernetes, seen from the API's side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.kubernetes_api import Document, KubernetesApi, serve

from cluster import (
    OWNER,
    Cluster,
    ClusterForbidden,
    ClusterRejected,
    ClusterSettings,
    ClusterUnavailable,
    in_cluster_client,
    needs_kubernetes,
)

PODS = "apis/apps/v1/statefulsets/mlflow"
BUDGET = "apis/policy/v1/poddisruptionbudgets/mlflow-units"
SERVICE = "api/v1/services/mlflow-external"
NOTHING = ClusterSettings(units=1, external_service="none", port=5000)


def stateful_set() -> Document:
    """Returns the part of Juju's own object that matters here."""
    labels = {"app.kubernetes.io/name": "mlflow"}
    containers = [{"name": "charm", "image": "charm"}, {"name": "tracking-server", "image": "server"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "mlflow", "namespace": "ml", "uid": "7a1c"},
        "spec": {
            "serviceName": "mlflow-endpoints",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with serve(KubernetesApi(objects={PODS: stateful_set()})) as served:
        yield served


@pytest.fixture
def cluster(api: KubernetesApi) -> Cluster:
    return Cluster("mlflow", "ml", api.client)


def pod_spec(api: KubernetesApi) -> Document:
    live = api.read(PODS)
    assert live is not None
    spec: Document = live["spec"]["template"]["spec"]
    return spec


def server_container(api: KubernetesApi) -> Document:
    container: Document = next(one for one in pod_spec(api)["containers"] if one["name"] == "tracking-server")
    return container


def test_a_single_unit_without_options_asks_for_nothing_and_writes_nothing(
    api: KubernetesApi, cluster: Cluster
) -> None:
    assert not needs_kubernetes(NOTHING)
    assert not cluster.apply(NOTHING)
    assert api.writes == []


@pytest.mark.parametrize(
    "settings",
    [
        replace(NOTHING, units=2),
        replace(NOTHING, external_service="node-port"),
        replace(NOTHING, cpu_limit="2"),
        replace(NOTHING, memory_request="1Gi"),
    ],
)
def test_each_option_needs_kubernetes_and_is_written_once(
    api: KubernetesApi, cluster: Cluster, settings: ClusterSettings
) -> None:
    assert needs_kubernetes(settings)
    assert cluster.apply(settings)
    written = len(api.writes)
    assert written

    assert not cluster.apply(settings)
    assert len(api.writes) == written


def test_two_units_are_spread_over_nodes_and_one_is_kept_during_a_drain(api: KubernetesApi, cluster: Cluster) -> None:
    cluster.apply(replace(NOTHING, units=2))

    assert pod_spec(api)["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "mlflow"}},
        }
    ]
    budget = api.read(BUDGET)
    assert budget is not None
    assert budget["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": "mlflow"}},
    }
    assert budget["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": OWNER,
        "app.kubernetes.io/instance": "mlflow",
    }
    assert budget["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "mlflow", "uid": "7a1c"}
    ]
    # The pods come last: changing them may end the process that asks.
    assert api.writes == [("PATCH", BUDGET), ("PATCH", PODS)]
    assert {call.query.get("force") for call in api.calls if call.method == "PATCH"} == {"true"}


def test_scaling_back_to_one_unit_takes_the_budget_away_and_restarts_nothing(
    api: KubernetesApi, cluster: Cluster
) -> None:
    cluster.apply(replace(NOTHING, units=3))
    api.calls.clear()

    assert cluster.apply(NOTHING)
    assert api.writes == [("DELETE", BUDGET)]
    assert "topologySpreadConstraints" in pod_spec(api)

    # The constraint also outlives a change of the resources.
    cluster.apply(replace(NOTHING, cpu_limit="2"))
    assert "topologySpreadConstraints" in pod_spec(api)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (replace(NOTHING, external_service="node-port"), "NodePort"),
        (replace(NOTHING, external_service="load-balancer"), "LoadBalancer"),
    ],
)
def test_a_service_exists_only_while_it_is_asked_for(
    api: KubernetesApi, cluster: Cluster, settings: ClusterSettings, kind: str
) -> None:
    assert cluster.apply(settings)
    service = api.read(SERVICE)
    assert service is not None
    assert service["spec"]["type"] == kind
    assert service["spec"]["selector"] == {"app.kubernetes.io/name": "mlflow"}
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(5000, 5000)]
    # Juju takes an object with this label for its own.
    assert "app.kubernetes.io/name" not in service["metadata"]["labels"]
    assert api.writes == [("PATCH", SERVICE)]

    assert cluster.apply(NOTHING)
    assert api.read(SERVICE) is None
    assert api.writes == [("PATCH", SERVICE), ("DELETE", SERVICE)]


def test_another_kind_of_service_changes_the_one_there_is(api: KubernetesApi, cluster: Cluster) -> None:
    cluster.apply(replace(NOTHING, external_service="node-port"))
    assert cluster.apply(replace(NOTHING, external_service="load-balancer"))
    service = api.read(SERVICE)
    assert service is not None
    assert service["spec"]["type"] == "LoadBalancer"


def test_resources_reach_the_server_only_and_are_given_back(api: KubernetesApi, cluster: Cluster) -> None:
    everything = replace(NOTHING, cpu_request="500m", cpu_limit="1000m", memory_request="1024Mi", memory_limit="2Gi")
    assert cluster.apply(everything)
    # Kubernetes writes 1 for 1000m and 1Gi for 1024Mi; that is no difference.
    assert server_container(api)["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    }
    assert not cluster.apply(everything)
    assert [one for one in pod_spec(api)["containers"] if "resources" in one] == [server_container(api)]

    assert cluster.apply(replace(everything, memory_limit=None))
    assert server_container(api)["resources"]["limits"] == {"cpu": "1"}

    assert cluster.apply(NOTHING)
    assert server_container(api) == {"name": "tracking-server", "image": "server"}
    assert not cluster.apply(NOTHING)


def test_resources_that_juju_set_are_not_touched(api: KubernetesApi, cluster: Cluster) -> None:
    containers = api.objects[PODS]["spec"]["template"]["spec"]["containers"]
    containers[1]["resources"] = {"limits": {"memory": "4Gi"}}

    assert not cluster.apply(NOTHING)
    assert cluster.apply(replace(NOTHING, cpu_limit="2"))
    assert server_container(api)["resources"]["limits"] == {"memory": "4Gi", "cpu": "2"}
    assert cluster.apply(NOTHING)
    assert server_container(api)["resources"]["limits"] == {"memory": "4Gi"}


def test_what_another_changed_is_set_again(api: KubernetesApi, cluster: Cluster) -> None:
    settings = replace(NOTHING, units=2, external_service="node-port", cpu_limit="2")
    cluster.apply(settings)
    api.applied[SERVICE, OWNER]["spec"]["ports"][0]["targetPort"] = 80
    api.applied[BUDGET, OWNER]["spec"]["maxUnavailable"] = 2
    del api.applied[PODS, OWNER]
    api.calls.clear()

    assert cluster.apply(settings)
    assert sorted(api.writes) == sorted([("PATCH", SERVICE), ("PATCH", BUDGET), ("PATCH", PODS)])
    assert not cluster.apply(settings)


# What Juju grants without --trust: reading and patching pods and services.
UNTRUSTED = {
    ("*", "apis/apps/v1/statefulsets"),
    ("*", "apis/policy/v1/poddisruptionbudgets"),
    ("DELETE", "api/v1/services"),
}


def test_without_trust_nothing_is_raised_while_nothing_is_asked_for(api: KubernetesApi, cluster: Cluster) -> None:
    api.forbidden = UNTRUSTED
    assert not cluster.apply(NOTHING)
    assert not cluster.remove()


@pytest.mark.parametrize(
    "settings",
    [replace(NOTHING, units=2), replace(NOTHING, external_service="node-port"), replace(NOTHING, cpu_limit="2")],
)
def test_without_trust_what_is_asked_for_is_refused_in_the_apis_own_words(
    api: KubernetesApi, cluster: Cluster, settings: ClusterSettings
) -> None:
    api.forbidden = UNTRUSTED
    with pytest.raises(ClusterForbidden, match=r'^apis/apps/v1/statefulsets is forbidden: User "system:serviceaccount'):
        cluster.apply(settings)
    assert api.writes == []


def test_a_service_left_open_by_a_withdrawn_trust_is_an_error(api: KubernetesApi, cluster: Cluster) -> None:
    cluster.apply(replace(NOTHING, external_service="node-port"))
    api.forbidden = UNTRUSTED
    with pytest.raises(ClusterForbidden):
        cluster.apply(NOTHING)


def test_a_request_that_kubernetes_finds_wrong_is_told_apart(api: KubernetesApi, cluster: Cluster) -> None:
    api.answers[PODS] = (422, "Invalid value: must be less than or equal to memory limit of 1Gi")
    with pytest.raises(ClusterRejected, match=r"less than or equal to memory limit"):
        cluster.apply(replace(NOTHING, memory_request="2Gi", memory_limit="1Gi"))


def test_an_object_of_somebody_else_is_left_alone(api: KubernetesApi, cluster: Cluster) -> None:
    api.objects[SERVICE] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mlflow-external"}}
    assert not cluster.apply(NOTHING)
    with pytest.raises(ClusterRejected, match=r"^Service mlflow-external exists already"):
        cluster.apply(replace(NOTHING, external_service="node-port"))
    assert not cluster.remove()
    assert api.writes == []


def test_a_missing_stateful_set_may_still_come(api: KubernetesApi, cluster: Cluster) -> None:
    api.objects.clear()
    with pytest.raises(ClusterUnavailable, match=r"^StatefulSet mlflow is not in namespace ml$"):
        cluster.apply(replace(NOTHING, units=2))


def test_a_server_error_is_unavailable(api: KubernetesApi, cluster: Cluster) -> None:
    api.answers[PODS] = (503, "the server is currently unable to handle the request")
    with pytest.raises(ClusterUnavailable, match=r"^Kubernetes answers 503: the server is currently unable"):
        cluster.apply(replace(NOTHING, units=2))


def test_an_api_that_does_not_answer_in_time_matters_only_when_it_is_needed(
    api: KubernetesApi, cluster: Cluster
) -> None:
    api.delay, api.patience = 0.5, 0.2
    with pytest.raises(ClusterUnavailable, match=r"^Kubernetes does not answer: timed out"):
        cluster.apply(replace(NOTHING, units=2))
    assert not cluster.apply(NOTHING)


def test_no_access_at_all_matters_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    cluster = Cluster("mlflow", "ml", in_cluster_client)
    assert not cluster.apply(NOTHING)
    with pytest.raises(ClusterUnavailable, match=r"^no access to Kubernetes: "):
        cluster.apply(replace(NOTHING, units=2))


def test_removal_takes_away_what_was_made_and_leaves_the_pods_to_juju(api: KubernetesApi, cluster: Cluster) -> None:
    cluster.apply(replace(NOTHING, units=2, external_service="load-balancer", cpu_limit="2"))
    api.calls.clear()

    assert cluster.remove()
    assert sorted(api.writes) == sorted([("DELETE", BUDGET), ("DELETE", SERVICE)])
    assert not cluster.remove()
