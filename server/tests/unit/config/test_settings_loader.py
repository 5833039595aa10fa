"""The loader's rules: precedence, secrets in files, and errors that name everything that is wrong."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking_server.config import AddressingStyle, Config, FrameOptions, Secret
from tracking_server.settings_loader import SETTINGS, ConfigError, Loaded, load


def toml(folder: Path, text: str) -> Path:
    path = folder / "tracking-server.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def secret_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def problems(text: str, folder: Path, environment: dict[str, str] | None = None, **flags: str) -> dict[str, str]:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    with pytest.raises(ConfigError) as error:
        load(toml(folder, text), environment or {}, given)
    return {problem.key: problem.message for problem in error.value.problems}


def refused_sections(path: Path | None, environment: dict[str, str]) -> set[str]:
    """The sections in which something is refused; any other exception than ConfigError is a failure."""
    try:
        load(path, environment)
    except ConfigError as error:
        return {problem.key.partition(".")[0] for problem in error.problems}
    return set()


def test_without_anything_the_defaults_hold() -> None:
    loaded = load(environment={})
    assert loaded == Loaded(Config(), dict.fromkeys(loaded.sources, "default"), ())


def test_flags_override_the_environment_and_that_the_file(tmp_path: Path) -> None:
    path = toml(tmp_path, '[server]\nhost = "::1"\nport = 1\nworkers = 1\n[logging]\naccess = false')
    environment = {"TRACKING_SERVER_SERVER_PORT": "2", "TRACKING_SERVER_SERVER_WORKERS": "2", "HOME": "/"}
    loaded = load(path, environment, {"server.workers": "3"})
    server = loaded.config.server
    assert (server.host, server.port, server.workers) == ("::1", 2, 3)
    assert not loaded.config.logging.access
    assert loaded.sources["server.host"] == str(path)
    assert loaded.sources["server.port"] == "TRACKING_SERVER_SERVER_PORT"
    assert loaded.sources["server.workers"] == "--workers"


def test_every_kind_of_value_is_read_from_toml_and_from_text(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        [server]
        allowed_hosts = ["a", "b"]
        x_frame_options = "deny"
        keep_alive = 10
        [artifacts]
        serve = false
        [stock]
        arguments = ["--secrets-cache-ttl", "120"]
        environment = { KEY = "a b" }
        socket_directory = "/run/x"
        """,
    )
    texts = {
        "TRACKING_SERVER_SERVER_ALLOWED_HOSTS": "a, b",
        "TRACKING_SERVER_SERVER_X_FRAME_OPTIONS": "deny",
        "TRACKING_SERVER_SERVER_KEEP_ALIVE": "10",
        "TRACKING_SERVER_ARTIFACTS_SERVE": "off",
        "TRACKING_SERVER_STOCK_ARGUMENTS": "--secrets-cache-ttl 120",
        "TRACKING_SERVER_STOCK_ENVIRONMENT": "KEY='a b'",
        "TRACKING_SERVER_STOCK_SOCKET_DIRECTORY": "/run/x",
    }
    from_file, from_texts = load(path, {}).config, load(None, texts).config
    assert from_file == from_texts
    assert from_file.server.allowed_hosts == ("a", "b")
    assert from_file.server.x_frame_options is FrameOptions.DENY
    assert from_file.server.keep_alive == 10.0
    assert from_file.stock.arguments == ("--secrets-cache-ttl", "120")
    assert from_file.stock.environment.reveal() == {"KEY": "a b"}
    assert from_file.stock.socket_directory == Path("/run/x")


def test_an_empty_text_unsets_what_has_no_default(tmp_path: Path) -> None:
    path = toml(tmp_path, '[artifacts]\ns3_region = "eu-west-1"')
    assert load(path, {"TRACKING_SERVER_ARTIFACTS_S3_REGION": ""}).config.artifacts.s3_region is None


def test_every_wrong_key_is_named_at_once_with_what_is_allowed(tmp_path: Path) -> None:
    text = """
        [server]
        port = 70000
        workers = "two"
        prot = 1
        keep_alive = nan
        allowed_hosts = []
        [databse]
        uri = "x"
        [database]
        pool_min = 20
        pool_max = true
        [artifacts]
        s3_addressing_style = "host"
        s3_endpoint = "minio:9000"
        [limits]
        port = 1
        """
    environment = {"TRACKING_SERVER_LOGGING_ACCESS": "maybe", "TRACKING_SERVER_LOGING_LEVEL": "info"}
    found = problems(text, tmp_path, environment, stock__workers="0")
    assert found == {
        "server.port": "70000 is not allowed; allowed: a whole number from 0 to 65535",
        "server.workers": "'two' is not allowed; allowed: a whole number from 0 to 256",
        "server.prot": "unknown key; did you mean server.port?",
        "server.keep_alive": "nan is not allowed; allowed: a number of seconds from 1 to 3600",
        "server.allowed_hosts": "[] is not allowed; allowed: a list of at least one host name or pattern",
        "databse": "unknown section; did you mean database?",
        "database.pool_max": "True is not allowed; allowed: a whole number from 1 to 1000",
        "database.pool_min": "20 is not allowed; allowed: at most pool_max, which is 10",
        "artifacts.s3_addressing_style": "'host' is not allowed; allowed: one of auto, path, virtual",
        "artifacts.s3_endpoint": "'minio:9000' is not allowed; allowed: a URL that begins with http:// or https://",
        "limits.port": "unknown key; did you mean server.port?",
        "logging.access": "'maybe' in TRACKING_SERVER_LOGGING_ACCESS is not allowed; allowed: true or false",
        "TRACKING_SERVER_LOGING_LEVEL": "unknown environment variable; did you mean TRACKING_SERVER_LOGGING_LEVEL?",
        "stock.workers": "'0' in --stock-workers is not allowed; allowed: a whole number from 1 to 64",
    }


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[server]\ntls_key = "{file}"', "server.tls_certificate"),
        ('[server]\nstatic_prefix = "mlflow"', "server.static_prefix"),
        ('[server]\nstatic_prefix = "/mlflow/"', "server.static_prefix"),
        ('[server]\nhost = ""', "server.host"),
        ("[stock]\nrestart_delay = 60", "stock.restart_delay"),
        ('[stock]\nenabled = false\n[database]\nuri = "mysql://h/db"', "stock.enabled"),
        ('[stock]\nenabled = false\n[artifacts]\ndestination = "hdfs://h/x"', "stock.enabled"),
        ('[artifacts]\ndestination = "mlflow-artifacts:/"', "artifacts.destination"),
        ('[artifacts]\ns3_access_key_id = "x"', "artifacts.s3_secret_access_key"),
        ('[database]\ntls = "require"', "database.tls"),
        ('[database]\npassword = "x"', "database.password"),
        ('[database]\nca_file = "/does/not/exist"', "database.ca_file"),
        ('server = "here"', "server"),
        ("port = 1", "port"),
    ],
)
def test_what_cannot_work_is_refused(text: str, key: str, tmp_path: Path) -> None:
    file = secret_file(tmp_path, "x")
    assert list(problems(text.replace("{file}", str(file)), tmp_path)) == [key]


@given(key=st.sampled_from(sorted(SETTINGS)), text=st.one_of(st.text(), st.integers().map(str)))
@example(key="artifacts.destination", text="s3://[")
@example(key="server.tls_key", text="\0")
@example(key="server.port", text="9" * 5000)
@example(key="stock.environment", text="'=x'")
def test_any_text_is_taken_or_refused_under_its_key(key: str, text: str) -> None:
    assert refused_sections(None, {SETTINGS[key].environment: text}) <= {SETTINGS[key].section}


@pytest.mark.parametrize("value", ["true", "-1", "inf", '"x"', "[]", "[1]", "{}", "{a = 1}", "1979-05-27", '"\\u0000"'])
def test_any_toml_value_is_taken_or_refused_under_its_key(value: str, tmp_path: Path) -> None:
    for key, setting in SETTINGS.items():
        path = toml(tmp_path, f"[{setting.section}]\n{setting.name} = {value}")
        assert refused_sections(path, {}) <= {setting.section}, key


def test_verifying_a_certificate_needs_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    uri = '[database]\nuri = "postgresql://h/db{query}"'
    assert list(problems(uri.format(query="?sslmode=verify-full"), tmp_path)) == ["database.uri"]
    assert list(problems(uri.format(query="") + '\ntls = "verify-ca"', tmp_path)) == ["database.tls"]
    load(toml(tmp_path, uri.format(query="?sslmode=verify-full&sslrootcert=/ca.pem")), {})


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", {})
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 2"):
        load(toml(tmp_path, "[server]\nport = here"), {})


def test_a_secret_is_read_from_its_file_without_the_final_line_break(tmp_path: Path) -> None:
    path = secret_file(tmp_path, " pass\nword \r\n")
    settings = {"TRACKING_SERVER_DATABASE_URI": "postgresql://u:old@h/db"}
    loaded = load(None, settings | {"TRACKING_SERVER_DATABASE_PASSWORD_FILE": str(path)})
    assert loaded.config.database.password == Secret(" pass\nword ")
    assert loaded.sources["database.password"] == str(path)
    assert loaded.warnings == ()


def test_the_uri_can_stand_in_a_file(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "postgresql://u:p@h/db\n")
    loaded = load(None, {"TRACKING_SERVER_DATABASE_URI_FILE": str(path)})
    assert loaded.config.database.uri.database == "db"
    path.write_text("hunter2")
    with pytest.raises(ConfigError, match=r"database.uri_file: what .* holds is not allowed") as error:
        load(None, {"TRACKING_SERVER_DATABASE_URI_FILE": str(path)})
    assert "hunter2" not in str(error.value)


def test_the_nearer_source_wins_between_a_secret_and_its_file(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "from-file")
    config = toml(tmp_path, f'[artifacts]\ns3_access_key_id_file = "{file}"\ns3_secret_access_key = "x"')
    artifacts = load(config, {"TRACKING_SERVER_ARTIFACTS_S3_ACCESS_KEY_ID": "from-environment"}).config.artifacts
    assert artifacts.s3_access_key_id == Secret("from-environment")
    assert artifacts.s3_access_key_id_file is None
    both = f'[artifacts]\ns3_session_token = "x"\ns3_session_token_file = "{file}"'
    assert problems(both, tmp_path) == {
        "artifacts.s3_session_token": "is set, and artifacts.s3_session_token_file too; set one of them"
    }


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_may_read_is_warned_about(mode: int, tmp_path: Path) -> None:
    path = secret_file(tmp_path, "x", mode)
    environment = {
        "TRACKING_SERVER_DATABASE_URI": "postgresql://u@h/db",
        "TRACKING_SERVER_DATABASE_PASSWORD_FILE": str(path),
    }
    (warning,) = load(None, environment).warnings
    assert str(path) in warning
    assert f"mode {mode:o}" in warning

    config = toml(tmp_path, '[database]\nuri = "postgresql://u:p@h/db"')
    config.chmod(mode)
    (warning,) = load(config, {}).warnings
    assert str(config) in warning
    config.write_text('[database]\nuri = "postgresql://u@h/db"')
    assert load(config, {}).warnings == ()


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    environment = {
        "TRACKING_SERVER_DATABASE_URI": "postgresql://u:hunter2@h/db",
        "TRACKING_SERVER_DATABASE_REGISTRY_URI": "mssql+pyodbc://u:hunter2@h/db",
        "TRACKING_SERVER_DATABASE_PASSWORD": "hunter2",
        "TRACKING_SERVER_ARTIFACTS_S3_ACCESS_KEY_ID": "hunter2",
        "TRACKING_SERVER_ARTIFACTS_S3_SECRET_ACCESS_KEY": "hunter2",
        "TRACKING_SERVER_ARTIFACTS_S3_SESSION_TOKEN": "hunter2",
        "TRACKING_SERVER_STOCK_ENVIRONMENT": "KEY=hunter2",
    }
    loaded = load(None, environment)
    assert "hunter2" not in repr(loaded)
    assert loaded.config.artifacts.environment_for_stock()["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    for wrong in ("postgresq://u:hunter2@h/db", "hunter2", "postgresql://u:hunter2@h:port/db"):
        with pytest.raises(ConfigError) as error:
            load(None, {"TRACKING_SERVER_DATABASE_URI": wrong, "TRACKING_SERVER_STOCK_ENVIRONMENT": "hunter2"})
        assert "hunter2" not in str(error.value)
    wrong_types = problems("[database]\npassword = ['hunter2']\nuri = ['hunter2']", tmp_path)
    assert wrong_types.keys() == {"database.password", "database.uri"}
    assert "hunter2" not in str(wrong_types)


def test_what_kubernetes_sets_for_a_service_of_our_name_is_ignored() -> None:
    links = {
        "TRACKING_SERVER_PORT": "tcp://10.1.2.3:5000",
        "TRACKING_SERVER_PORT_5000_TCP_ADDR": "10.1.2.3",
        "TRACKING_SERVER_SERVICE_HOST": "10.1.2.3",
        "TRACKING_SERVER_SERVICE_PORT_HTTP": "5000",
        "TRACKING_SERVER_CONFIG": "/etc/x.toml",
    }
    assert load(None, links).config == Config()


def test_open_doors_are_warned_about() -> None:
    environment = {
        "TRACKING_SERVER_SERVER_ALLOWED_HOSTS": "*",
        "TRACKING_SERVER_SERVER_CORS_ALLOWED_ORIGINS": "*",
        "TRACKING_SERVER_DATABASE_URI": "mysql://h/db",
    }
    keys = [warning.split()[0] for warning in load(None, environment).warnings]
    assert keys == ["server.allowed_hosts", "server.cors_allowed_origins", "database.uri"]


def test_a_configuration_can_be_pickled_to_a_worker() -> None:
    environment = {
        "TRACKING_SERVER_DATABASE_URI": "postgresql://u:p@h/db",
        "TRACKING_SERVER_STOCK_ENVIRONMENT": "A=b",
    }
    config = load(None, environment).config
    copy = pickle.loads(pickle.dumps(config))  # noqa: S301  our own bytes, as multiprocessing sends them
    assert copy == config
    assert copy.database.dsn_for_asyncpg() == config.database.dsn_for_asyncpg()


@pytest.mark.parametrize(
    ("style", "endpoint", "path_style"),
    [
        (AddressingStyle.AUTO, None, False),
        (AddressingStyle.AUTO, "http://minio:9000", True),
        (AddressingStyle.VIRTUAL, "http://minio:9000", False),
        (AddressingStyle.PATH, None, True),
    ],
)
def test_the_addressing_style_follows_the_endpoint(
    style: AddressingStyle, endpoint: str | None, path_style: bool
) -> None:
    environment = {
        "TRACKING_SERVER_ARTIFACTS_DESTINATION": "s3://b/x",
        "TRACKING_SERVER_ARTIFACTS_S3_ENDPOINT": endpoint or "",
        "TRACKING_SERVER_ARTIFACTS_S3_ADDRESSING_STYLE": str(style),
    }
    artifacts = load(None, environment).config.artifacts
    assert artifacts.s3_path_style is path_style
    expected = "path" if path_style else str(style)
    assert artifacts.environment_for_stock()["MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"] == expected
