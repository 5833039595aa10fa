"""Deployments by the stand-in (tests/standin) on real PostgreSQL and S3 servers, which units reach over a bridge."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from tests.integration.providers import PostgreSQL, S3Integrator
from tests.integration.secrecy import Watch
from tests.standin.charm_files import CharmFiles
from tests.standin.juju import Juju
from tests.standin.model import ConfigValue
from tests.standin.network import Network
from tests.standin.pod import Image
from tests.unit.kubernetes_api import KubernetesApi, serve

from support.postgres import PostgresServer
from support.requirements import REPOSITORY, requires
from support.s3 import S3Server

MODEL = "ml"
APP = "mlflow"
CONTAINER = "tracking-server"

# Each worker takes seconds to start.
LEAN: Mapping[str, ConfigValue] = {"workers": 1}

# What our charm imports that is not its own.
LIBRARIES = (
    "ops",
    "charmlibs.interfaces.tls_certificates",
    "jinja2",
    "lightkube.resources.apps_v1",
    "lightkube.resources.core_v1",
    "lightkube.resources.policy_v1",
)

_running: list[Juju] = []
_LINES = 80


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    requires("namespaces")
    with Network() as running:
        yield running


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="charms-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def charm(open_folder: Path) -> CharmFiles:
    """Our charm, as it would be packed."""
    return CharmFiles.read(REPOSITORY).pack(open_folder / "charm")


@pytest.fixture(scope="module")
def kubernetes(network: Network) -> Iterator[KubernetesApi]:
    """What the charm asks of Kubernetes itself, played."""
    labels = {"app.kubernetes.io/name": APP}
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": APP, "namespace": MODEL, "uid": "1"},
        "spec": {
            "serviceName": f"{APP}-endpoints",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": CONTAINER}]}},
        },
    }
    played = KubernetesApi(objects={f"apis/apps/v1/statefulsets/{APP}": stateful_set})
    with serve(played, network.address) as api:
        yield api


@pytest.fixture(scope="module")
def juju(network: Network, kubernetes: KubernetesApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Juju]:
    """An empty model, for all tests of a module."""
    image = Image(
        pebble=requires("pebble"),
        shown=(REPOSITORY / "server",),
        folders=("/etc/tracking-server",),
        charm_files={"/etc/kubeconfig": _kubeconfig(kubernetes, tmp_path_factory.mktemp("kubernetes"))},
        charm_variables={"KUBECONFIG": "/etc/kubeconfig"},
        preload=LIBRARIES,
        # Each start of stock MLflow costs ten seconds of a core, and few units are asked for it.
        variables={"TRACKING_SERVER_STOCK_START": "lazy"},
    )
    with Juju(image, network, MODEL) as model:
        _running.append(model)
        yield model
        _running.remove(model)


@pytest.fixture(scope="module")
def postgres(network: Network) -> Iterator[PostgresServer]:
    """A PostgreSQL that the module's tests may stop."""
    server = PostgresServer(requires("postgresql"), address=network.address)
    try:
        yield server.start()
        server.stop()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def s3(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(requires("s3"), tmp_path_factory.mktemp("s3"), network.address) as server:
        yield server


@pytest.fixture(scope="module")
def database(juju: Juju, postgres: PostgresServer) -> PostgreSQL:
    """The application postgresql, which hands databases of ``postgres`` out."""
    player = PostgreSQL(postgres)
    juju.play(player, "postgresql")
    return player


@pytest.fixture(scope="module")
def bucket(juju: Juju, s3: S3Server) -> S3Integrator:
    """The application s3-integrator, with an empty bucket of ``s3``."""
    s3.create_bucket("mlflow")
    player = S3Integrator(s3, "mlflow")
    juju.play(player, "s3-integrator")
    return player


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """Sees the arguments of all processes from now on."""
    watch = Watch()
    with watch.watching():
        yield watch


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts what charms and workloads logged into a failed test's report."""
    report = yield
    if report.failed:
        for juju in _running:
            report.sections.append(("juju status", juju.describe()))
            report.sections.append(("juju debug-log", "\n".join(juju.model.log[-_LINES:])))
            for name, agent in juju.agents.items():
                lines = agent.pod.log(CONTAINER).splitlines()[-_LINES:]
                report.sections.append((f"log of Pebble in {name}", "\n".join(lines)))
    return report


def _kubeconfig(kubernetes: KubernetesApi, folder: Path) -> Path:
    path = folder / "kubeconfig"
    cluster = {"name": "played", "cluster": {"server": kubernetes.url}}
    content = {
        "clusters": [cluster],
        "users": [{"name": "charm", "user": {"token": "played"}}],
        "contexts": [{"name": "played", "context": {"cluster": "played", "user": "charm"}}],
        "current-context": "played",
    }
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o644)
    return path
