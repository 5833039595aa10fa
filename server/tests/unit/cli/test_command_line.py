"""The command line: what it prints, how it ends, and that it never loads MLflow."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from support.processes import plain_environment
from tracking_server import __version__
from tracking_server.cli.serve import create_data_folders
from tracking_server.config import ArtifactSettings, Config, DatabaseSettings
from tracking_server.exit_codes import ExitCode, FatalError
from tracking_server.settings_database import DatabaseUri
from tracking_server.settings_loader import SETTINGS
from tracking_server.settings_text import example, reference

from .conftest import RunCommand


def test_exit_codes_are_what_the_service_manager_was_told() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "FAILURE": 1,
        "BAD_CONFIGURATION": 2,
        "DATABASE_NOT_READY": 3,
        "ADDRESS_IN_USE": 4,
        "UNREACHABLE": 5,
        "SCHEMA_BEHIND": 10,
        "SCHEMA_AHEAD": 11,
        "NOT_MLFLOW": 12,
        "DATABASE_EMPTY": 13,
        "LOCKED": 14,
        "GC_INCOMPLETE": 15,
    }
    assert all(code.meaning for code in ExitCode)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["version", "--json"],
        ["serve", "--help"],
        ["config", "check"],
        ["config", "show"],
        ["doctor", "--json"],
        ["db", "upgrade", "--help"],
    ],
    ids=" ".join,
)
def test_no_command_loads_mlflow(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tracking_server.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "loaded = {'mlflow', 'sqlalchemy', 'flask'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_help_lists_the_commands_and_every_flag(run: RunCommand) -> None:
    done = run("--help")
    assert all(name in done.stdout for name in ("serve", "config", "doctor"))
    flags = [flag for each in SETTINGS.values() for flag in (each.flag, each.rule.stock_flag) if flag is not None]
    for command in (("serve",), ("config", "check"), ("config", "show"), ("doctor",)):
        words = run(*command, "--help").stdout.replace(",", " ").split()
        assert set(flags) <= set(words)


def test_the_version(run: RunCommand) -> None:
    assert __version__ in run("--version").stdout


def test_a_valid_configuration_is_said_to_be_valid(run: RunCommand) -> None:
    done = run("config", "check", "--allowed-hosts", "*")
    assert (done.returncode, done.stdout) == (0, "The configuration is valid.\n")
    assert done.stderr.startswith("warning: server.allowed_hosts")


@pytest.mark.parametrize("command", [("serve",), ("config", "check"), ("config", "show"), ("doctor",)], ids=" ".join)
def test_every_command_names_all_that_is_wrong(command: tuple[str, ...], run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('[server]\nprot = 1\n[database]\nuri = "x://u:hunter2@h"\n')
    flags = ("--config", "wrong.toml", "--logging-format", "xml")
    done = run(*command, *flags, TRACKING_SERVER_STOCK_WORKERS="many")
    assert done.returncode == ExitCode.BAD_CONFIGURATION
    lines = done.stderr.splitlines()
    keys = [line.split(": ")[1] for line in lines]
    assert all(line.startswith("error: ") for line in lines)
    assert keys == ["server.prot", "database.uri", "stock.workers", "logging.format"]
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_flag_that_does_not_exist_is_a_bad_configuration(run: RunCommand) -> None:
    done = run("serve", "--prot", "1")
    assert done.returncode == ExitCode.BAD_CONFIGURATION
    assert "--port" in done.stderr


def test_the_configuration_file_can_be_named_in_the_environment(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[server]\nport = 5001\n")
    done = run("config", "show", TRACKING_SERVER_CONFIG="a.toml")
    assert "port = 5001  # a.toml\n" in done.stdout


def test_flags_of_either_name_and_polarity_are_taken(run: RunCommand) -> None:
    done = run("config", "show", "--no-serve-artifacts", "--no-logging-access", "--backend-store-uri", "sqlite:///x.db")
    assert "serve = false  # --artifacts-serve\n" in done.stdout
    assert "access = false  # --logging-access\n" in done.stdout
    assert 'uri = "sqlite:///x.db"  # --database-uri\n' in done.stdout
    assert "serve = true  # --artifacts-serve\n" in run("config", "show", "--serve-artifacts").stdout


def test_example_and_reference_are_printed_as_generated(run: RunCommand) -> None:
    assert run("config", "example").stdout == example()
    assert run("config", "reference").stdout == reference()


def test_serve_says_that_its_address_is_taken(run: RunCommand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == ExitCode.ADDRESS_IN_USE
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("error: another process listens on 127.0.0.1:")


def test_serve_says_when_it_is_ready_what_a_notebook_needs_and_ends_cleanly(
    sqlite_database: str, tmp_path: Path
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tracking_server", "serve", "--port", "0", "--stock-start", "lazy"],
        cwd=tmp_path,
        env=plain_environment({"TRACKING_SERVER_DATABASE_URI": sqlite_database}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(5)]
        url = lines[4].split('"')[1]
        assert url in lines[1]
        assert lines[3:] == ["    import mlflow\n", f'    mlflow.set_tracking_uri("{url}")\n']
        assert requests.get(f"{url}/health", timeout=10).ok
        server.send_signal(signal.SIGINT)
        assert server.wait(40) == ExitCode.OK
    finally:
        server.kill()
        server.wait()


def test_data_folders_are_made_for_our_user_alone(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    config = Config(
        database=DatabaseSettings(uri=DatabaseUri.parse(f"sqlite:///{tmp_path}/old/data/mlflow.db")),
        artifacts=ArtifactSettings(destination=f"file://{tmp_path}/new/a%20b"),
    )
    create_data_folders(config)
    create_data_folders(config)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if path.is_dir()
    }
    assert modes == {"old": 0o755, "old/data": 0o700, "new": 0o700, "new/a b": 0o700}


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = Config(
        database=DatabaseSettings(uri=DatabaseUri.parse(f"sqlite:///{tmp_path}/x.db")),
        artifacts=ArtifactSettings(destination=str(tmp_path / "file" / "artifacts")),
    )
    with pytest.raises(FatalError, match="file cannot be created: File exists") as error:
        create_data_folders(config)
    assert error.value.exit_code is ExitCode.BAD_CONFIGURATION
