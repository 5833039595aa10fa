"""What is packed, and whether the files that Juju reads agree with each other; charmcraft's own checks among them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import ops
import pytest
import yaml
from charmcraft.models.config import JujuConfig
from charmcraft.utils import build_zip
from craft_parts.parts import validate_part
from tests.unit.project_files import ROOT, endpoints, load, make_targets, requirement_names

import tracking_server

YAML_FILES = ("charmcraft.yaml", "metadata.yaml", "config.yaml", "actions.yaml")
REQUIREMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "server", ROOT / "server/tests/support/releases")
    for path in folder.glob("requirements*.txt")
)
# Their charms may be many at a time; every other requirer endpoint has one at the other end.
SEVERAL = {"receive-ca-cert", "logging"}


def charmcraft(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs charmcraft, which keeps its logs below the folder."""
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "charmcraft", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder that becomes the charm: charmcraft's own builder, filtered by the parts, without downloads."""
    folder = tmp_path_factory.mktemp("packed")
    build, install, prime = folder / "build", folder / "install", folder / "prime"
    for path in (build, install, prime):
        path.mkdir()
    for name in ("src", "lib", "templates"):
        shutil.copytree(ROOT / name, build / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*YAML_FILES, ".jujuignore", "icon.svg", "README.md", "requirements.txt"):
        shutil.copy(ROOT / name, build / name)
    parts = load("charmcraft.yaml")["parts"]
    builder = Path(sys.modules["charmcraft"].__path__[0]) / "charm_builder.py"
    entrypoint = build / parts["charm"]["charm-entrypoint"]
    arguments = ["--builddir", str(build), "--installdir", str(install), "--entrypoint", str(entrypoint)]
    subprocess.run([sys.executable, "-I", str(builder), *arguments], check=True, capture_output=True, timeout=60)

    # The stand-in for the downloads: the one package that charmcraft looks for.
    shutil.copytree(Path(ops.__file__).parent, install / "venv" / "ops")
    for part, source in (("charm", install), ("files", build)):
        for name in parts[part]["stage"]:
            if (source / name).is_dir():
                shutil.copytree(source / name, prime / name, symlinks=True)
            else:
                shutil.copy(source / name, prime / name)
    # charmcraft itself adds them to what the parts give.
    for name in ("metadata.yaml", "config.yaml", "actions.yaml"):
        shutil.copy(ROOT / name, prime / name)
    return prime


def test_charmcraft_accepts_the_project_with_nothing_lost(tmp_path: Path) -> None:
    for name in YAML_FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    result = charmcraft("expand-extensions", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    expanded = yaml.safe_load(result.stdout)
    assert expanded["config"]["options"].keys() == load("config.yaml")["options"].keys()
    assert expanded["actions"].keys() == load("actions.yaml").keys()
    # The rest of metadata.yaml goes into the charm as it is.
    metadata = load("metadata.yaml")
    assert [expanded[key] for key in ("name", "summary")] == [metadata[key] for key in ("name", "summary")]
    assert expanded["parts"].keys() == load("charmcraft.yaml")["parts"].keys()


def test_no_key_stands_in_two_files() -> None:
    seen: dict[str, str] = {}
    for name in ("charmcraft.yaml", "metadata.yaml"):
        for key in load(name):
            assert key not in seen, f"{key} stands in {seen[key]} and in {name}"
            seen[key] = name
    # With files of their own, these would be ignored in either of the two.
    assert not {"config", "options", "actions"} & seen.keys()


def test_charmcraft_finds_nothing_wrong_with_what_is_packed(packed: Path, tmp_path: Path) -> None:
    charm = tmp_path / "mlflow-tracking-k8s.charm"
    build_zip(charm, packed)
    result = charmcraft("analyse", "--format", "json", str(charm), folder=tmp_path)
    findings = {finding["name"]: finding["result"] for finding in json.loads(result.stdout)}
    assert findings["language"] == "python"
    assert findings["framework"] == "operator"
    lints = ("juju-actions", "juju-config", "metadata", "naming-conventions", "entrypoint", "ops-main-call")
    assert {name: findings[name] for name in lints} == dict.fromkeys(lints, "ok"), result.stdout


def test_all_that_the_charm_reads_is_packed(packed: Path) -> None:
    files = {path.relative_to(packed).as_posix() for path in packed.rglob("*") if path.is_file()}
    for folder in ("src", "lib", "templates"):
        own = {p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        assert own, f"{folder} is empty"
        assert {path.relative_to(ROOT).as_posix() for path in own} <= files
    tops = {name.partition("/")[0] for name in files}
    assert not tops & {"server", "tests", "docs", "bench", "Makefile", "README.md"}


def test_options_are_what_juju_takes() -> None:
    options = JujuConfig.unmarshal(load("config.yaml")).options
    assert options
    for name, option in options.items():
        assert option.description, f"{name} has no description"
        assert option.type == "secret" or option.default is not None, f"{name} has no default"


def test_actions_are_closed_and_described() -> None:
    actions = load("actions.yaml")
    for name, action in actions.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert action["additionalProperties"] is False, f"{name} takes unknown parameters"
        assert action["description"], f"{name} has no description"
        for parameter, schema in action.get("params", {}).items():
            assert schema["type"] in {"string", "boolean", "integer"}, f"{name} {parameter}"
            assert schema["description"], f"{name} {parameter} has no description"


def test_endpoints_say_what_they_are() -> None:
    for name, endpoint in endpoints().items():
        assert endpoint["interface"], name
        assert endpoint["optional"] is True, f"{name} does not say that the charm works without it"
        assert endpoint["description"], name
    for name, endpoint in load("metadata.yaml")["requires"].items():
        assert endpoint.get("limit") == (None if name in SEVERAL else 1), f"{name}: limit"


def test_containers_find_their_images_and_storage() -> None:
    metadata = load("metadata.yaml")
    images = {container["resource"] for container in metadata["containers"].values()}
    assert images == {name for name, resource in metadata["resources"].items() if resource["type"] == "oci-image"}
    mounts = {mount["storage"] for container in metadata["containers"].values() for mount in container["mounts"]}
    assert mounts == metadata["storage"].keys()


@pytest.mark.parametrize("kind", ["endpoints", "options", "actions"])
def test_what_is_declared_is_used_by_the_charm(kind: str) -> None:
    declared = {
        "endpoints": set(endpoints()),
        "options": set(load("config.yaml")["options"]),
        "actions": set(load("actions.yaml")),
    }[kind]
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    words = set(re.findall(r"[a-z][a-z0-9_-]+", code))
    unused = {name for name in declared if not {name, name.replace("-", "_")} & words}
    assert not unused


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_pin_hashes_and_name_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
    lines = [line for line in text.replace("\\\n", "").splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_the_charm_is_built_from_wheels_with_hashes_only() -> None:
    part = load("charmcraft.yaml")["parts"]["charm"]
    assert part["charm-requirements"] == ["requirements.txt"]
    assert part["charm-strict-dependencies"] is True
    assert set(part["charm-binary-python-packages"]) == requirement_names("requirements.txt")


def test_the_image_runs_what_the_charm_runs() -> None:
    rock = load("server/rockcraft.yaml")
    assert rock["version"] == tracking_server.__version__
    assert rock["services"]["tracking-server"]["command"] == (
        "tracking-server serve --config /etc/tracking-server/tracking-server.toml"
    )
    container = load("metadata.yaml")["containers"]["tracking-server"]
    # The user _daemon_ of every rock.
    assert (rock["run-user"], container["uid"], container["gid"]) == ("_daemon_", 584792, 584792)
    owned = {entry["path"]: (entry["owner"], entry["group"]) for entry in rock["parts"]["folders"]["permissions"]}
    assert owned == {"etc/tracking-server": (584792, 584792), "data": (584792, 584792)}
    assert rock["base"] == load("charmcraft.yaml")["base"]
    assert rock["platforms"].keys() == load("charmcraft.yaml")["platforms"].keys()
    for part in rock["parts"].values():
        validate_part(part)
    for name in rock["parts"]["server"]["python-requirements"]:
        assert (ROOT / "server" / name).is_file()


def test_the_icon_is_what_charmhub_shows() -> None:
    icon = ElementTree.fromstring((ROOT / "icon.svg").read_text())  # noqa: S314 (our own file)
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    assert (icon.get("width"), icon.get("height")) == ("100", "100")


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_what_they_use_and_call_targets_that_exist(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for uses in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses), f"not pinned by commit: {uses}"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= make_targets()


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["check.yaml", "functional.yaml"]
