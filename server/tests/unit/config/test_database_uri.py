"""Database URIs, held against the readers they are written for: SQLAlchemy (stock MLflow) and libpq."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, make_url

from tracking_server.config import DatabaseKind, DatabaseSettings, Secret, TlsMode
from tracking_server.settings import InvalidValue
from tracking_server.settings_database import DatabaseUri, Host

ODD_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
HOST_NAMES = st.one_of(
    st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=20).filter(lambda name: name[0] != "-"),
    st.ip_addresses().map(str),
    st.just("/var/run/postgresql"),
)
HOSTS = st.lists(st.builds(Host, HOST_NAMES, st.integers(1, 65535)), min_size=1, max_size=3).map(tuple)


def written(user: str, password: str, hosts: tuple[Host, ...], database: str) -> str:
    """A URI as a careful person writes it."""
    netloc = ",".join(
        f"[{host.name}]:{host.port}" if ":" in host.name else f"{quote(host.name, safe='')}:{host.port}"
        for host in hosts
    )
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{netloc}/{quote(database, safe='')}"


def as_sqlalchemy_connects(uri: str) -> dict[str, str]:
    """What stock's driver, psycopg, is given."""
    _, options = create_engine(uri).dialect.create_connect_args(make_url(uri))
    return {name: str(value) for name, value in options.items() if name != "context"}


@given(user=ODD_TEXT, password=ODD_TEXT, hosts=HOSTS, database=ODD_TEXT)
@example(user="a@b", password="p:/?#[]@!$&'()*+,;=% \n", hosts=(Host("h", 5432),), database="a b/c?d")
@example(user="u", password="100%25+plus", hosts=(Host("::1", 1), Host("b", 2)), database="mlflow")
def test_odd_names_and_passwords_reach_both_drivers_unchanged(
    user: str, password: str, hosts: tuple[Host, ...], database: str
) -> None:
    settings = DatabaseSettings(uri=DatabaseUri.parse(written(user, password, hosts, database)))
    expected = {
        "user": user,
        "password": password,
        "dbname": database,
        "host": ",".join(host.name for host in hosts),
        "port": ",".join(str(host.port) for host in hosts),
    }
    assert settings.uri.hosts == hosts
    assert conninfo_to_dict(settings.dsn_for_asyncpg()) == expected
    assert as_sqlalchemy_connects(settings.uri_for_stock()) == expected


@given(password=ODD_TEXT.map(lambda text: "secret" + text + "secret"))
def test_a_password_is_never_shown(password: str) -> None:
    encoded = quote(password, safe="")
    for uri in (
        f"postgresql://user:{encoded}@host/db",
        f"postgresql://host/db?user=user&password={encoded}",
        f"postgresql://host/db?sslkey=k&sslpassword={encoded}",
        f"mysql+pymysql://user:{encoded}@host/db",
        f"mssql+pyodbc:///?odbc_connect=PWD%3D{encoded}",
    ):
        settings = DatabaseSettings(uri=DatabaseUri.parse(uri), password=Secret(password))
        for shown in (repr(settings), str(settings.uri), settings.uri.masked(), settings.connection.masked()):
            assert "secret" not in shown
            assert encoded not in shown


@given(text=st.one_of(st.text(), ODD_TEXT.map(lambda text: f"postgresql://user:hunter2@{text}")))
@example(text="postgresql://user:hunter2@ss@host/db")
@example(text="postgresql://user:hunter2@host:port/db")
@example(text="postgresql://user:hunter2@host/db?port=hunter2")
def test_any_text_is_read_or_refused_without_repeating_it(text: str) -> None:
    try:
        uri = DatabaseUri.parse(text)
    except InvalidValue as error:
        said = str(error)
    else:
        assert uri.for_sqlalchemy()
        said = repr(uri)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("postgresql://localhost/mlflow", DatabaseKind.POSTGRESQL),
        ("postgresql+psycopg2://localhost/mlflow", DatabaseKind.POSTGRESQL),
        ("postgresql+psycopg://localhost/mlflow", DatabaseKind.POSTGRESQL),
        ("postgres://localhost/mlflow", DatabaseKind.POSTGRESQL),
        ("postgresql:///mlflow", DatabaseKind.POSTGRESQL),
        ("sqlite:///mlflow.db", DatabaseKind.SQLITE),
        ("sqlite+pysqlite:////var/lib/mlflow.db", DatabaseKind.SQLITE),
        ("sqlite:///file:mlflow.db?uri=true", DatabaseKind.OTHER),
        ("mysql+pymysql://user@localhost/mlflow", DatabaseKind.OTHER),
        ("mssql+pyodbc://user@localhost/mlflow?driver=ODBC", DatabaseKind.OTHER),
    ],
)
def test_the_kind_follows_from_the_scheme(uri: str, kind: DatabaseKind) -> None:
    assert DatabaseSettings(uri=DatabaseUri.parse(uri)).kind is kind


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "./mlruns",
        "http://localhost/mlflow",
        "postgresql:/localhost/mlflow",
        "postgresql+pg8000://localhost/mlflow",
        "sqlite://mlflow.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "postgresql://user:p@ss@localhost/mlflow",
        "postgresql://localhost/mlflow?search_path=x",
        "postgresql://localhost/mlflow?host=a,b&port=1,2,3",
    ],
)
def test_a_uri_that_cannot_be_served_is_refused(uri: str) -> None:
    with pytest.raises(InvalidValue):
        DatabaseUri.parse(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:p@a:1,b:2/db",
        "postgresql://u:p@/db?host=a:1&host=b:2",
        "postgresql://u:p@/db?host=a,b&port=1,2",
    ],
)
def test_several_hosts_are_read_in_every_spelling(uri: str) -> None:
    assert DatabaseUri.parse(uri).hosts == (Host("a", 1), Host("b", 2))


def test_the_querys_parameters_are_kept_for_both_drivers() -> None:
    uri = "postgresql://h/db?sslmode=verify-full&sslrootcert=/ca.pem&application_name=a%20b&connect_timeout=3"
    settings = DatabaseSettings(uri=DatabaseUri.parse(uri))
    shared = {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "application_name": "a b"}
    assert shared.items() <= conninfo_to_dict(settings.dsn_for_asyncpg()).items()
    assert (shared | {"connect_timeout": "3"}).items() <= as_sqlalchemy_connects(settings.uri_for_stock()).items()
    # asyncpg would send what it does not know to the server, which refuses it.
    assert "connect_timeout" not in settings.dsn_for_asyncpg()


def test_settings_override_the_uri() -> None:
    settings = DatabaseSettings(
        uri=DatabaseUri.parse("postgresql://u:old@h/db?sslmode=disable"),
        password=Secret("new"),
        tls=TlsMode.VERIFY_CA,
        ca_file=Path("/etc/ca.pem"),
    )
    for connection in (conninfo_to_dict(settings.dsn_for_asyncpg()), as_sqlalchemy_connects(settings.uri_for_stock())):
        assert connection["password"] == "new"
        assert connection["sslmode"] == "verify-ca"
        assert connection["sslrootcert"] == "/etc/ca.pem"


def test_an_sqlite_path_is_absolute_and_decoded_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = DatabaseSettings(uri=DatabaseUri.parse("sqlite:///da%20ta/ml%3Fflow%25.db?timeout=20"))
    assert settings.sqlite_path() == tmp_path / "da ta" / "ml?flow%.db"
    stock = make_url(settings.uri_for_stock())
    assert stock.database == str(settings.sqlite_path())
    assert stock.query == {"timeout": "20"}


def test_other_databases_are_handed_to_stock_as_they_are() -> None:
    uri = "mysql+pymysql://u:p%40@h/db?charset=utf8mb4"
    assert DatabaseSettings(uri=DatabaseUri.parse(uri)).uri_for_stock() == uri


def test_a_registry_in_the_same_database_is_not_separate() -> None:
    uri = DatabaseUri.parse("postgresql://u@h/db")
    same = DatabaseUri.parse("postgresql+psycopg2://u@h/db")
    other = DatabaseUri.parse("postgresql://u@h/registry")
    assert not DatabaseSettings(uri=uri).registry_is_separate
    assert not DatabaseSettings(uri=uri, registry_uri=same).registry_is_separate
    assert DatabaseSettings(uri=uri, registry_uri=other).registry_is_separate


def test_protection_that_native_connections_lack_is_named() -> None:
    uri = DatabaseUri.parse("postgresql://h/db?channel_binding=require&gssencmode=prefer&requirepeer=postgres")
    assert uri.unkept_protections() == ["channel_binding=require", "requirepeer=postgres"]
