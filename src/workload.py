"""The tracking server in its container: files, Pebble's plan, commands. Writes only what differs."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import ops
from ops import pebble

from server_config import ALL_FILES, CONFIG_FILE, DIRECTORY, PORT, SHUTDOWN_GRACE_SECONDS, File

logger = logging.getLogger(__name__)

CONTAINER = "tracking-server"
SERVICE = "tracking-server"
LAYER = "tracking-server"
READY = "ready"
ALIVE = "alive"
COMMAND = "tracking-server"

_CANDIDATE_FILE = f"{DIRECTORY}/candidate.toml"
_SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_QUICK_SECONDS = 60.0
_REASON_LENGTH = 300
_BAD_CONFIGURATION = 2


class WorkloadError(Exception):
    """The workload did not do what it was asked to; the text says why, in one line without secrets."""


class CommandFailed(WorkloadError):
    """A command of the server ended with another exit code than 0. ``output`` is its standard output."""

    def __init__(self, command: str, exit_code: int, output: str, errors: str) -> None:
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit code {exit_code}"
        super().__init__(f"{command}: {shorten(reason)}")
        self.exit_code = exit_code
        self.output = output


class ConfigRejected(WorkloadError):
    """The server does not take the configuration."""


@dataclass(frozen=True)
class Version:
    """The versions of the server, of its MLflow, and the schema revision that it serves."""

    server: str
    mlflow: str
    schema: str


@dataclass(frozen=True)
class Serving:
    """How the service is to run: ``digest`` stands for its files and restarts it when they change.

    A unit that is not ``ready_counts`` lets Kubernetes think it ready though it does not serve.
    """

    digest: str | None
    tls: bool = False
    log_targets: Mapping[str, Mapping[str, Any]] | None = None
    ready_counts: bool = True


def shorten(text: str) -> str:
    """One line of a length that a status can carry."""
    line = " ".join(text.split())
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


class Workload:
    """The container ``tracking-server``. Every method but ``reachable`` raises WorkloadError where Pebble refuses."""

    def __init__(self, container: ops.Container) -> None:
        self._container = container

    @property
    def reachable(self) -> bool:
        return self._container.can_connect()

    @cached_property
    def version(self) -> Version:
        content = self.run_json(["version", "--json"], seconds=_QUICK_SECONDS)
        try:
            return Version(content["server"], content["mlflow"], content["schema"])
        except KeyError as error:
            raise WorkloadError(f"{COMMAND} version: no {error} in its answer") from error

    def install(self, files: Mapping[str, File]) -> bool:
        """Makes the configuration's files equal to these and removes others; returns whether anything was written.

        The server checks the configuration before it takes the place of the last one; raises ConfigRejected.
        """
        wrote = False
        for path, file in files.items():
            if path != CONFIG_FILE:
                wrote |= self._push(path, file)
        if self._differs(CONFIG_FILE, files[CONFIG_FILE]):
            self._check(files[CONFIG_FILE])
            wrote |= self._push(CONFIG_FILE, files[CONFIG_FILE])
        for path in set(ALL_FILES) - set(files):
            wrote |= self._remove(path)
        return wrote

    def serve(self, serving: Serving) -> bool:
        """Runs the service; restarts it only if what it runs with changed. Returns whether it was (re)started."""
        changed = self._plan(serving)
        status = self._status
        with _translated("the server cannot be started"):
            if changed:
                self._container.replan()
            if status in (None, pebble.ServiceStatus.INACTIVE, pebble.ServiceStatus.ERROR):
                if not self._container.get_service(SERVICE).is_running():
                    self._container.start(SERVICE)
                return True
        return changed

    def halt(self) -> None:
        """Stops the service until ``serve`` is called, and leaves the plan as it is."""
        with _translated("the server cannot be stopped"):
            if self._status not in (None, pebble.ServiceStatus.INACTIVE):
                self._container.stop(SERVICE)

    def stop(self, serving: Serving) -> None:
        """Stops the service for good; its ready check stays, so that Kubernetes sends it no requests."""
        self.halt()
        self._plan(replace(serving, digest=None))

    @property
    def is_running(self) -> bool:
        """Whether the service is up, or Pebble is about to start it again."""
        return self._status not in (None, pebble.ServiceStatus.INACTIVE, pebble.ServiceStatus.ERROR)

    @property
    def is_stable(self) -> bool:
        """Whether the service is up, and not between two starts."""
        return self._status is pebble.ServiceStatus.ACTIVE

    @property
    def passes_ready_check(self) -> bool:
        with _translated("Pebble's checks cannot be read"):
            checks = self._container.get_checks(READY)
        return READY in checks and checks[READY].status is pebble.CheckStatus.UP

    def run(
        self,
        arguments: Sequence[str],
        *,
        seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> str:
        """Runs `tracking-server ARGUMENTS` and returns its output; ``on_line`` gets the lines of standard error.

        Raises CommandFailed for an exit code other than 0. Secrets do not belong into arguments.
        """
        name = " ".join([COMMAND, *arguments[:2]])
        errors = _Lines(on_line)
        with _translated(name):
            process = self._container.exec(
                [COMMAND, *arguments],
                # Pebble would take the user's home, and users of images have none.
                working_dir="/",
                timeout=seconds,
                environment=dict(environment or {}),
                stderr=errors,
            )
            try:
                output, _ = process.wait_output()
            except pebble.ExecError as error:
                raise CommandFailed(name, error.exit_code, error.stdout or "", errors.getvalue()) from None
        return output

    def run_json(self, arguments: Sequence[str], **options: Any) -> dict[str, Any]:
        """Like ``run``, for a command that prints one JSON object."""
        return json_object(" ".join([COMMAND, *arguments[:2]]), self.run(arguments, **options))

    def exists(self, path: str) -> bool:
        with _translated(path):
            return self._container.exists(path)

    def has_files(self, path: str) -> bool:
        """Whether the folder exists and anything is in it."""
        with _translated(path):
            return self._container.isdir(path) and bool(self._container.list_files(path))

    def read(self, path: str) -> str | None:
        """The text of a file; None where there is none."""
        try:
            with _translated(path):
                return self._container.pull(path).read()
        except WorkloadError as error:
            if isinstance(error.__cause__, pebble.PathError) and error.__cause__.kind == "not-found":
                return None
            raise

    def well_known_authorities(self) -> str:
        """PEM of the authorities that the image trusts; empty where it has none."""
        return self.read(_SYSTEM_AUTHORITIES) or ""

    @property
    def _status(self) -> pebble.ServiceStatus | str | None:
        """None where the service is not in the plan; Pebble has more words than ops, such as backoff."""
        with _translated("Pebble's services cannot be read"):
            service = self._container.get_services(SERVICE).get(SERVICE)
        return None if service is None else service.current

    def _check(self, file: File) -> None:
        try:
            self._push(_CANDIDATE_FILE, file)
            self.run(["config", "check", "--config", _CANDIDATE_FILE], seconds=_QUICK_SECONDS)
        except CommandFailed as error:
            if error.exit_code == _BAD_CONFIGURATION:
                raise ConfigRejected(str(error)) from error
            raise
        finally:
            self._remove(_CANDIDATE_FILE)

    def _differs(self, path: str, file: File) -> bool:
        if self.read(path) != file.content:
            return True
        with _translated(path):
            (info,) = self._container.list_files(path, itself=True)
        return info.permissions != file.mode

    def _push(self, path: str, file: File) -> bool:
        if not self._differs(path, file):
            return False
        with _translated(path):
            self._container.push(path, file.content, permissions=file.mode, make_dirs=True)
        return True

    def _remove(self, path: str) -> bool:
        if not self.exists(path):
            return False
        with _translated(path):
            self._container.remove_path(path)
        return True

    def _plan(self, serving: Serving) -> bool:
        """Brings Pebble's plan to what is wanted; returns whether it was written."""
        wanted = _layer(serving)
        with _translated("Pebble's plan"):
            live: Mapping[str, Any] = self._container.get_plan().to_dict()
            targets = live.get("log-targets", {})
            for name in set(targets) - set(wanted["log-targets"]):
                # A layer cannot take a target away; this is how Pebble lets one forward nothing.
                wanted["log-targets"][name] = {**targets[name], "override": "replace", "services": ["-all"]}
            if all(_contains(live.get(part, {}).get(name, {}), item) for part, name, item in _items(wanted)):
                return False
            layer: pebble.LayerDict = wanted  # type: ignore[assignment]  # built as plain dicts, checked by Pebble
            self._container.add_layer(LAYER, layer, combine=True)
        return True


def json_object(command: str, output: str) -> dict[str, Any]:
    """The JSON object that a command printed. Raises WorkloadError."""
    try:
        content = json.loads(output)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise WorkloadError(f"{command}: printed no JSON object")
    return content


def _layer(serving: Serving) -> dict[str, dict[str, Any]]:
    runs = serving.digest is not None
    service: dict[str, Any] = {
        "override": "replace",
        "summary": "MLflow tracking server",
        "command": f"{COMMAND} serve --config {CONFIG_FILE}",
        "startup": "enabled" if runs else "disabled",
        # Pebble restarts a service whose definition changed: the files' content is a part of it.
        "environment": {"CONFIGURATION_SHA256": serving.digest} if runs else {},
        "on-check-failure": {ALIVE: "restart"} if runs else {},
        "kill-delay": f"{SHUTDOWN_GRACE_SECONDS + 5}s",
    }
    checks = {READY: _check(serving, READY, "/-/ready", 3)}
    if runs:
        # A layer cannot take a check away; for a service that is stopped this one does nothing.
        checks[ALIVE] = _check(serving, ALIVE, "/health", 6)
    if serving.ready_counts:
        checks[READY]["level"] = "ready"
    targets = {name: {"override": "replace", **target} for name, target in (serving.log_targets or {}).items()}
    return {"services": {SERVICE: service}, "checks": checks, "log-targets": targets}


def _check(serving: Serving, name: str, path: str, threshold: int) -> dict[str, Any]:
    check: dict[str, Any] = {"override": "replace", "period": "5s", "timeout": "4s", "threshold": threshold}
    if serving.tls:
        return {**check, "exec": {"command": f"{COMMAND} probe {name} --config {CONFIG_FILE}"}}
    return {**check, "http": {"url": f"http://localhost:{PORT}{path}"}}


def _items(layer: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [(part, name, item) for part, content in layer.items() for name, item in content.items()]


def _contains(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether all that is wanted stands in the plan, to which Pebble adds defaults; what may be absent must be then."""
    optional: Mapping[str, Any] = {"level": "", "environment": {}, "on-check-failure": {}, "http": None, "exec": None}
    keys = set(wanted) | (set(optional) & set(live))
    return all((live.get(key) or None) == (wanted.get(key) or None) for key in keys)


class _Lines(io.StringIO):
    """Keeps what is written to it, and gives every whole line away."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        super().__init__()
        self._on_line = on_line
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if self._on_line is not None and line.strip():
                self._on_line(line.rstrip())
        return super().write(text)


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turns Pebble's errors into WorkloadError, which names what failed."""
    try:
        yield
    except (pebble.Error, TimeoutError, ConnectionError) as error:
        raise WorkloadError(f"{what}: {shorten(_message(error))}") from error


def _message(error: BaseException) -> str:
    if isinstance(error, pebble.ChangeError):
        # The error's own text carries the log of the service, whose lines are for Pebble's log.
        return error.err
    return str(error) or type(error).__name__
