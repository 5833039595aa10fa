"""The rendered configuration, as the server's own loader reads it."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server_config
from server_config import (
    CONFIG_FILE,
    ArtifactSettings,
    DatabaseSettings,
    File,
    ServerSettings,
    TlsSettings,
    digest,
    masked,
    render,
    toml,
)
from tracking_server.config import Config
from tracking_server.settings_loader import load

PLAIN = ServerSettings(
    database=DatabaseSettings("sqlite:////data/mlflow.db"),
    artifacts=ArtifactSettings("/data/artifacts"),
    allowed_hosts=("localhost",),
)
FULL = ServerSettings(
    database=DatabaseSettings("postgresql://u:p%40ss@a:5432,b:5433/m", True, "PG CA", 13, 11),
    artifacts=ArtifactSettings(
        "s3://models/path", False, True, "https://s3.lan", "eu", "S3 CA", "path", 'AK"\\', "s€cret\n\x7f"
    ),
    tls=TlsSettings("CHAIN", "KEY"),
    authorities="ALL",
    workers=3,
    allowed_hosts=("a", "[[]::1]:*"),
    cors_allowed_origins=("https://app.lan",),
    log_level="warning",
    max_json_body=2048,
    max_concurrent=7,
    gc_older_than="12h",
    gc_schedule="0 3 * * 0",
    stock_arguments=("--opt", 'a "b'),
    stock_environment={"OPENAI_API_KEY": "sk-€", "SSL_CERT_FILE": "/mine.pem"},
    stock_jobs="always",
)


def loaded(settings: ServerSettings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """What the server reads from the files, written below ``folder`` instead of /etc."""
    for name in dir(server_config):
        value = getattr(server_config, name)
        if name.endswith("_FILE") and isinstance(value, str):
            monkeypatch.setattr(server_config, name, str(folder / Path(value).name))
    paths = {"database_ca": "database-ca.pem", "certificate": "certificate.pem", "key": "key.pem"}
    monkeypatch.setattr(server_config, "_PATHS", {name: str(folder / path) for name, path in paths.items()})
    for path, file in render(settings).items():
        target = folder / Path(path).name
        target.touch(mode=file.mode)
        target.write_text(file.content)
    found = load(folder / "tracking-server.toml", environment={})
    assert found.warnings == ()
    return found.config


def test_the_server_takes_the_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded(PLAIN, tmp_path, monkeypatch)
    assert (config.server.host, config.server.port) == ("0.0.0.0", 5000)  # noqa: S104  compared, nothing is bound
    assert str(config.database.sqlite_path()) == "/data/mlflow.db"
    assert config.artifacts.destination == "/data/artifacts"
    assert config.logging.format == "json"
    assert config.gc.schedule is None
    assert config.artifacts.presigned is False
    assert config.server.tls_certificate is None


def test_the_server_takes_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded(FULL, tmp_path, monkeypatch)
    assert config.database.uri.password is not None
    assert config.database.uri.password.reveal() == "p@ss"
    assert [(host.name, host.port) for host in config.database.uri.hosts] == [("a", 5432), ("b", 5433)]
    assert (config.database.tls, config.database.ca_file) == ("verify-full", tmp_path / "database-ca.pem")
    assert (config.database.pool_max, config.database.statement_timeout) == (13, 11)
    artifacts = config.artifacts
    assert (artifacts.destination, artifacts.serve, artifacts.presigned) == ("s3://models/path", False, True)
    assert (artifacts.s3_endpoint, artifacts.s3_region, artifacts.s3_addressing_style) == (
        "https://s3.lan",
        "eu",
        "path",
    )
    assert artifacts.s3_ca_file == tmp_path / "object-store-ca.pem"
    assert artifacts.s3_access_key_id is not None
    assert artifacts.s3_access_key_id.reveal() == 'AK"\\'
    assert artifacts.s3_secret_access_key is not None
    assert artifacts.s3_secret_access_key.reveal() == "s€cret\n\x7f"
    assert config.server.tls_certificate == tmp_path / "certificate.pem"
    assert config.server.tls_key == tmp_path / "key.pem"
    assert config.server.allowed_hosts == ("a", "[[]::1]:*")
    assert (config.limits.max_json_body, config.limits.max_concurrent) == (2048, 7)
    assert config.logging.level == "warning"
    assert (config.gc.older_than, config.gc.schedule) == ("12h", "0 3 * * 0")
    assert (config.stock.arguments, config.stock.jobs) == (("--opt", 'a "b'), "always")
    assert config.stock.environment.reveal() == {
        "OPENAI_API_KEY": "sk-€",
        "SSL_CERT_FILE": "/mine.pem",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "authorities.pem"),
    }


def test_what_holds_a_secret_is_for_the_server_alone() -> None:
    modes = {Path(path).name: file.mode for path, file in render(FULL).items()}
    assert modes == {
        "tracking-server.toml": 0o600,
        "key.pem": 0o600,
        "certificate.pem": 0o644,
        "authorities.pem": 0o644,
        "database-ca.pem": 0o644,
        "object-store-ca.pem": 0o644,
    }


@pytest.mark.parametrize(
    ("tls", "ca", "mode"), [(False, None, None), (True, None, "require"), (True, "CA", "verify-full")]
)
def test_a_known_authority_is_always_used_to_verify(tls: bool, ca: str | None, mode: str | None) -> None:
    assert DatabaseSettings("postgresql://", tls, ca).tls_mode == mode


def test_trusted_authorities_reach_s3_where_it_brings_none_of_its_own() -> None:
    keys = ArtifactSettings("s3://b", access_key="a", secret_key="s")
    settings = dataclasses.replace(PLAIN, artifacts=keys, authorities="ALL")
    assert tomllib.loads(render(settings)[CONFIG_FILE].content)["artifacts"]["s3_ca_file"].endswith("authorities.pem")


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_its_quotes(text: str) -> None:
    assert tomllib.loads(f"x = {toml(text)}") == {"x": text}


SECRETS = st.text("abcXYZ019$&é\"'\\\n=[]#@:/ ", min_size=12, max_size=20)


@given(secret=SECRETS, key=SECRETS, variable=SECRETS)
def test_no_secret_is_left_after_masking(secret: str, key: str, variable: str) -> None:
    settings = dataclasses.replace(
        PLAIN,
        database=DatabaseSettings("postgresql://u:hidden%40pass@h:5432/m"),
        artifacts=ArtifactSettings("s3://b", access_key=key, secret_key=secret),
        stock_environment={"KEY": variable},
    )
    text = render(settings)[CONFIG_FILE].content
    shown = masked(text)
    assert all(toml(each)[1:-1] not in shown for each in (secret, key, variable))
    assert "hidden" not in shown
    content = tomllib.loads(shown)
    assert content["database"]["uri"] == "postgresql://u:*****@h:5432/m"
    assert content["stock"]["environment"] == {"KEY": "*****"}
    assert content["server"] == tomllib.loads(text)["server"]


def test_a_digest_stands_for_every_file() -> None:
    files = {"/a": File("x"), "/b": File("y")}
    assert digest(files) == digest(dict(reversed(files.items())))
    assert digest(files) != digest({**files, "/b": File("z")})


def test_nothing_secret_shows_in_a_repr() -> None:
    shown = repr(FULL)
    for secret in ("p%40ss", "s€cret", "AK", "sk-€"):
        assert secret not in shown
