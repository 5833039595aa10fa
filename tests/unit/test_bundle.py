"""bundle.yaml against the charm's own metadata, and against what the other charms publish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.project_files import ROOT, endpoints, load

import tracking_server


@dataclass(frozen=True)
class Published:
    """What a charm of somebody else offers, read from its published metadata and documentation."""

    channels: set[str]
    endpoints: dict[str, str]
    options: set[str]
    trust: bool


PUBLISHED = {
    "postgresql-k8s": Published({"14/stable", "16/stable"}, {"database": "postgresql_client"}, {"profile"}, True),
    "s3-integrator": Published(
        {"1/stable", "2/stable"},
        {"s3-credentials": "s3"},
        {"endpoint", "bucket", "region", "path", "s3-uri-style", "tls-ca-chain", "credentials"},
        False,
    ),
}
OURS = "./mlflow-tracking-k8s.charm"
BUNDLE = load("bundle.yaml")
APPLICATIONS: dict[str, dict[str, Any]] = BUNDLE["applications"]


def offered(application: str) -> dict[str, str]:
    """Returns the interfaces of an application's endpoints."""
    charm = APPLICATIONS[application]["charm"]
    if charm == OURS:
        return {name: endpoint["interface"] for name, endpoint in endpoints().items()}
    return PUBLISHED[charm].endpoints


def test_it_is_a_bundle_for_kubernetes() -> None:
    assert BUNDLE["bundle"] == "kubernetes"
    # Keys that Juju reads there; anything else would be lost in silence.
    assert BUNDLE.keys() == {"bundle", "name", "description", "applications", "relations"}
    known = {"charm", "channel", "scale", "trust", "options", "resources", "storage"}
    for name, application in APPLICATIONS.items():
        assert application.keys() <= known, name
        assert application["scale"] == 1, name
    assert sorted(application["charm"] for application in APPLICATIONS.values()) == sorted([OURS, *PUBLISHED])


@pytest.mark.parametrize("name", [name for name, one in APPLICATIONS.items() if one["charm"] != OURS])
def test_other_charms_are_deployed_as_they_are_published(name: str) -> None:
    application = APPLICATIONS[name]
    published = PUBLISHED[application["charm"]]
    assert application["channel"] in published.channels
    assert application.get("options", {}).keys() <= published.options
    assert application["trust"] is published.trust
    # A secret of the model cannot stand in a file.
    assert "credentials" not in application.get("options", {})


def test_our_charm_is_deployed_with_all_it_declares() -> None:
    application = next(one for one in APPLICATIONS.values() if one["charm"] == OURS)
    metadata = load("metadata.yaml")
    assert application["trust"] is True
    assert application["resources"].keys() == metadata["resources"].keys()
    assert application["storage"].keys() == metadata["storage"].keys()
    assert application.get("options", {}).keys() <= load("config.yaml")["options"].keys()
    image = application["resources"]["tracking-server-image"]
    assert image.endswith(f"/{load('server/rockcraft.yaml')['name']}:{tracking_server.__version__}")
    # What `make image` pushes, and what `make charm` packs.
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^IMAGE \?= {re.escape(image.rpartition(':')[0])}$", makefile, re.MULTILINE)
    assert OURS.removeprefix("./") in makefile


@pytest.mark.parametrize("pair", BUNDLE["relations"], ids=" ".join)
def test_relations_join_endpoints_of_one_interface(pair: list[str]) -> None:
    interfaces = []
    for end in pair:
        application, endpoint = end.split(":")
        interfaces.append(offered(application)[endpoint])
    assert len(interfaces) == 2
    assert interfaces[0] == interfaces[1]


def test_a_database_and_an_object_store_are_integrated() -> None:
    ours = next(name for name, one in APPLICATIONS.items() if one["charm"] == OURS)
    assert {end for pair in BUNDLE["relations"] for end in pair if end.startswith(f"{ours}:")} == {
        f"{ours}:database",
        f"{ours}:object-storage",
    }
