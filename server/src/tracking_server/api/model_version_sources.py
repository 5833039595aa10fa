"""What a model version may be made of: which sources are allowed, and which run, logged model or version they name.

Rules: ``_validate_source_run``, ``_validate_source_model`` and ``_resolve_registered_model_source_lineage`` in
mlflow/server/handlers.py, ``create_model_version`` in mlflow/store/model_registry/sqlalchemy_store.py, and
mlflow/store/artifact/utils/models.py. Sources on the server's disk and on hosts that a client names are left to stock.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import ParseResult, unquote, unquote_plus, urlparse, urlsplit

import msgspec

from tracking_server.errors import ErrorCode, ForwardRequest, MlflowError, does_not_exist, invalid_parameter
from tracking_server.store import artifact_roots, model_versions, registered_models
from tracking_server.store.database import Connection, DataViolation
from tracking_server.validation_registry import (
    LATEST_ALIAS,
    canonical_stage,
    check_alias,
    check_model_name,
    is_prompt,
    parse_version,
)

# Of these stock knows which hosts it trusts (mlflow/store/artifact/host_policy.py).
_HOST_SCHEMES = frozenset({"ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"})
_DATABASE_SCHEMES = ("mysql", "mssql", "postgresql", "sqlite")
_PROMPT_SOURCES = ("dummy-source", "prompt-template")
# Longer ones no column holds on PostgreSQL; unquoting them again and again would take long.
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Lineage:
    """A source resolved: ``run_id`` and ``model_id`` are the request's ("" for none) or of the version it names."""

    source: str
    run_id: str | None
    model_id: str
    storage_location: str | None


@dataclass(frozen=True, slots=True)
class _ModelUri:
    """``models:/`` names a logged model by its id, or a version by its number, stage or alias (else the latest)."""

    model_id: str | None = None
    name: str = ""
    version: str | None = None
    stage: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """The logged model of which a version is made; its versions so far as it names them itself."""

    experiment_id: int
    artifact_location: str
    source_run_id: str | None
    versions: Sequence[object]

    def versions_with(self, name: str, version: int) -> list[object]:
        """Its versions and one more (mlflow/store/tracking/abstract_store.py ``set_model_versions_tags``)."""
        added = {"name": name, "version": version}
        # As in stock, one that is named already stays alone.
        return [added] if added in self.versions else [*self.versions, added]


def check_prompt_source(source: str) -> None:
    """A prompt's versions have no files: their source is one of two placeholders."""
    if source not in _PROMPT_SOURCES:
        raise invalid_parameter(f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")


async def resolve(connection: Connection, source: str, run_id: str | None, model_id: str | None) -> Lineage:
    """The lineage of ``source``, allowed and resolved; an id that the request does not have is None.

    Raises INVALID_PARAMETER_VALUE for a source that may not be used, RESOURCE_DOES_NOT_EXIST where it names what is
    not there, ForwardRequest for what only stock can judge.
    """
    scheme = _checked_scheme(source)
    lineage = Lineage(source, run_id or "", model_id or "", source)
    if scheme == "models":
        uri = _model_uri_in_this_registry(source)
        if uri.model_id is None:
            lineage = await _resolve_version(connection, source, uri, run_id, model_id)
    if lineage.model_id:
        await _check_of_model(connection, lineage.source, lineage.model_id)
    else:
        await _check_of_run(connection, lineage.source, lineage.run_id)
    return lineage


async def logged_model(connection: Connection, lineage: Lineage) -> LoggedModel | None:
    """The logged model that ``lineage.model_id`` names, locked; None where none is named.

    Raises RESOURCE_DOES_NOT_EXIST; ForwardRequest where stock stores the version before it finds the fault.
    """
    if not lineage.model_id:
        return None
    try:
        row = await model_versions.lock_logged_model(connection, lineage.model_id)
    except DataViolation:
        if lineage.run_id:
            raise ForwardRequest("missing-logged-model") from None
        raise
    if row is None:
        missing = f"Logged model with ID '{lineage.model_id}' not found."
        if urlparse(lineage.source).scheme == "models":
            raise does_not_exist(
                f"Unable to fetch model from model URI source artifact location '{lineage.source}'."
                f"Error: {ErrorCode.RESOURCE_DOES_NOT_EXIST}: {missing}"
            )
        if lineage.run_id:
            raise ForwardRequest("missing-logged-model")
        raise does_not_exist(missing)
    text = await model_versions.versions_of_logged_model(connection, lineage.model_id)
    try:
        versions = msgspec.json.decode(text or "[]", type=list[object])
    except msgspec.DecodeError:
        raise ForwardRequest("model-versions-tag") from None
    return LoggedModel(row["experiment_id"], row["artifact_location"], row["source_run_id"], versions)


def _checked_scheme(source: str) -> str:
    if len(source) > _LONGEST:
        raise ForwardRequest("long-source")
    parsed = _parse(source)
    host = parsed.hostname or ""
    if parsed.scheme == "file" and host and host != "." and not host.startswith(("localhost", "127.0.0.1")):
        raise invalid_parameter(
            f"{source} is not a valid remote uri. For remote access on windows, please consider using a different"
            " scheme such as SMB (e.g. smb://<hostname>/<path>)."
        )
    if parsed.scheme in ("", "file"):
        if "\0" in source:
            raise invalid_parameter(f"Invalid model version source: '{source}'. A path cannot hold a NUL character.")
        raise ForwardRequest("local-source")
    if parsed.scheme in _HOST_SCHEMES or (parsed.scheme == "mlflow-artifacts" and parsed.netloc):
        raise ForwardRequest("source-host")
    if parsed.scheme.startswith(_DATABASE_SCHEMES):
        raise ForwardRequest("source-scheme")
    return parsed.scheme


def _model_uri_in_this_registry(source: str) -> _ModelUri:
    if _parse(source).netloc:
        raise invalid_parameter(
            f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
        )
    return _parse_model_uri(source)


async def _resolve_version(
    connection: Connection, source: str, uri: _ModelUri, run_id: str | None, model_id: str | None
) -> Lineage:
    """A ``models:/`` source that names a version by anything becomes one that names it by its number."""
    check_model_name(uri.name)
    rows = await registered_models.get(connection, uri.name)
    if is_prompt(_tags(rows[0]["model_tags"])):
        raise invalid_parameter(
            f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )
    row = await _named_version(connection, uri, rows)
    # Versions in a database do not know their logged model.
    if (run_id is not None and run_id != (row["run_id"] or "")) or model_id:
        raise invalid_parameter(
            f"Invalid model version source: '{source}'. The run_id and model_id request parameters must match the"
            " referenced model version."
        )
    return Lineage(
        f"models:/{uri.name}/{row['version']}",
        row["run_id"] if run_id is None else run_id,
        "",
        row["storage_location"] or row["source"],
    )


async def _named_version(connection: Connection, uri: _ModelUri, rows: Any) -> Any:
    if uri.version is not None:
        return await model_versions.get(connection, uri.name, parse_version(uri.version))
    if uri.alias is not None:
        check_alias(uri.alias)
        if uri.alias.lower() != LATEST_ALIAS:
            return await model_versions.get_by_alias(connection, uri.name, uri.alias)
    stage = None if uri.stage is None else canonical_stage(uri.stage)
    latest = [row["version"] for row in rows if row["version"] is not None and stage in (None, row["current_stage"])]
    if not latest:
        if uri.alias is not None:
            raise does_not_exist(f"Latest version not found for model {uri.name}.")
        of_stage = "" if uri.stage is None else f" and stage '{uri.stage}'"
        raise does_not_exist(f"No versions of model with name '{uri.name}'{of_stage} found")
    return await model_versions.get(connection, uri.name, max(latest))


async def _check_of_run(connection: Connection, source: str, run_id: str | None) -> None:
    _check_path(source)
    parsed = _parse(source)
    if parsed.scheme == "runs":
        if parsed.netloc or not run_id or _run_of(source) != run_id:
            raise _not_contained(source, "run_id")
    elif parsed.scheme == "models":
        if _parse_model_uri(source).model_id is not None:
            raise _not_contained(source, "model_id")
    elif parsed.scheme == "mlflow-artifacts":
        with _absence_means_not_contained(source, "run_id"):
            root = await artifact_roots.of_run(connection, run_id)
        if not _is_within(source, root.uri):
            raise _not_contained(source, "run_id")


async def _check_of_model(connection: Connection, source: str, model_id: str) -> None:
    _check_path(source)
    parsed = _parse(source)
    if parsed.scheme == "models":
        if _parse_model_uri(source).model_id != model_id:
            raise _not_contained(source, "model_id")
    elif parsed.scheme == "runs":
        raise _not_contained(source, "model_id")
    elif parsed.scheme == "mlflow-artifacts":
        with _absence_means_not_contained(source, "model_id"):
            root = await artifact_roots.of_logged_model(connection, model_id)
        if not _is_within(source, root):
            raise _not_contained(source, "model_id")


@contextmanager
def _absence_means_not_contained(source: str, identifier: str) -> Iterator[None]:
    try:
        yield
    except MlflowError as error:
        if error.code is ErrorCode.RESOURCE_DOES_NOT_EXIST:
            raise _not_contained(source, identifier) from error
        raise


def _check_path(source: str) -> None:
    """Refuses a source whose path, unquoted as often as it can be, is not the plain absolute path it seems to be.

    Stock also follows this machine's symbolic links along the path of an object in a bucket; we do not.
    """
    unquoted = source
    while (next_unquoted := unquote_plus(unquoted)) != unquoted:
        unquoted = next_unquoted
    path = re.sub(r"/+", "/", _parse(unquoted).path.rstrip("/"))
    plain = path.startswith("/") and posixpath.normpath(path) == path
    if not plain or "\0" in path or ".." in unquoted.split("/"):
        raise invalid_parameter(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, "
            "local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be "
            "provided without relative path references present. "
            "Please provide an absolute path."
        )


def _run_of(source: str) -> str:
    path = _parse(source).path
    run_id = path[1:].split("/")[0]
    if not path.startswith("/") or not run_id:
        raise invalid_parameter(
            f"Not a proper runs:/ URI: {source}. "
            "Runs URIs must be of the form 'runs:/<run_id>/run-relative/path/to/artifact'"
        )
    return run_id


def _parse_model_uri(source: str) -> _ModelUri:
    path = urlparse(source, allow_fragments=False).path
    parts = path.lstrip("/").split("/")
    if not path.startswith("/") or len(path) <= 1 or len(parts) > 2 or not parts[-1].strip() or not parts[0].strip():
        raise _not_contained(source, "model_id")
    if len(parts) == 2:
        name, suffix = parts
        if suffix.isdigit():
            return _ModelUri(name=name, version=suffix)
        return _ModelUri(name=name, stage=None if suffix.lower() == "latest" else suffix)
    if "@" in path:
        name, _, alias = parts[0].rpartition("@")
        if not alias.strip():
            raise _not_contained(source, "model_id")
        return _ModelUri(name=name, alias=alias)
    return _ModelUri(model_id=parts[0])


def _is_within(source: str, root: str) -> bool:
    source_scheme, source_host, source_path = _normal_parts(source)
    scheme, host, path = _normal_parts(root)
    return bool(path) and (source_scheme, source_host, source_path[: len(path)]) == (scheme, host, path)


def _normal_parts(uri: str) -> tuple[str, str, list[str]]:
    parsed = urlsplit(uri)
    path = [_unquoted(part) for part in parsed.path.split("/") if part]
    return parsed.scheme.lower(), parsed.netloc.lower(), path


def _unquoted(text: str) -> str:
    while (unquoted := unquote(text)) != text:
        text = unquoted
    return text


def _parse(source: str) -> ParseResult:
    try:
        return urlparse(source)
    except ValueError as error:
        raise invalid_parameter(f"Invalid model version source: '{source}'. {error}") from None


def _tags(json: str | None) -> dict[str, str]:
    if not json:
        return {}
    return {tag["key"]: tag.get("value") or "" for tag in msgspec.json.decode(json, type=list[dict[str, str]])}


def _not_contained(source: str, identifier: str) -> MlflowError:
    return invalid_parameter(
        f"Invalid model version source: '{source}'. The {identifier} request parameter must identify the resource that"
        " contains the source."
    )
