"""The database relation: what PostgreSQL's charm writes becomes a connection that the server's own reader takes."""

from __future__ import annotations

import dataclasses
import json
import string

import ops.testing
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.relations.certificate_texts import authority
from tests.unit.relations.tiny import app_data, hostile, read, transition

from relations.database import Database, DatabaseConnection
from tracking_server.settings_database import DatabaseUri, Host

PRIMARY = "postgresql-k8s-primary.model.svc.cluster.local:5432"
CREDENTIALS = {"username": "relation_id_4", "password": "first", "uris": "postgresql://…"}


def postgresql(secrets: dict[str, ops.testing.Secret] | None = None, **databag: str) -> ops.testing.Relation:
    """PostgreSQL's side, as published charms write it; keyword names have _ for -."""
    contents = {name.replace("_", "-"): value for name, value in databag.items()}
    contents |= {f"secret-{purpose}": secret.id for purpose, secret in (secrets or {}).items()}
    return ops.testing.Relation("database", id=4, remote_app_name="postgresql-k8s", remote_app_data=contents)


def state(relation: ops.testing.Relation, *secrets: ops.testing.Secret, leader: bool = True) -> ops.testing.State:
    return ops.testing.State(relations={relation}, secrets=secrets, leader=leader)


def connection_of(given_state: ops.testing.State) -> DatabaseConnection | None:
    return read(given_state, lambda charm: Database(charm).connection)


def problem_of(given_state: ops.testing.State) -> tuple[str | None, bool]:
    return read(given_state, lambda charm: (Database(charm).problem, Database(charm).waiting))


def test_without_a_relation_there_is_nothing_and_no_problem() -> None:
    nothing = ops.testing.State()
    assert not read(nothing, lambda charm: Database(charm).related)
    assert connection_of(nothing) is None
    assert problem_of(nothing) == (None, False)


def test_a_relation_that_is_being_removed_does_not_count() -> None:
    relation = postgresql(endpoints=PRIMARY, username="u", password="p")
    _, related = transition(
        state(relation), lambda charm: Database(charm).related, lambda on: on.relation_broken(relation)
    )
    assert not related


def test_credentials_come_from_the_secrets() -> None:
    user = ops.testing.Secret(CREDENTIALS)
    tls = ops.testing.Secret({"tls": "True", "tls-ca": authority("pg")})
    relation = postgresql(
        {"user": user, "tls": tls},
        endpoints=PRIMARY,
        read_only_endpoints="postgresql-k8s-replicas:5432",
        database="mlflow",
        version="14.12",
        data='{"requested-secrets": "…"}',
    )
    connection = connection_of(state(relation, user, tls))
    assert connection == DatabaseConnection(
        identity="4:mlflow",
        hosts=(PRIMARY,),
        database="mlflow",
        username="relation_id_4",
        password="first",
        tls=True,
        ca=authority("pg") + "\n",
        read_only_hosts=("postgresql-k8s-replicas:5432",),
    )
    assert connection.uri == f"postgresql://relation_id_4:first@{PRIMARY}/mlflow"


def test_a_follower_reads_what_the_leader_reads() -> None:
    user = ops.testing.Secret(CREDENTIALS)
    relation = postgresql({"user": user}, endpoints=PRIMARY)
    assert connection_of(state(relation, user)) == connection_of(state(relation, user, leader=False)) is not None


def test_a_rotated_password_is_read_at_once() -> None:
    user = ops.testing.Secret(CREDENTIALS, latest_content={**CREDENTIALS, "password": "second"})
    relation = postgresql({"user": user}, endpoints=PRIMARY)
    after, connection = transition(state(relation, user), lambda charm: Database(charm).connection)
    assert connection is not None
    assert connection.password == "second"
    # Juju tells of the next revision only those who track this one.
    tracked = after.get_secret(id=user.id)
    assert tracked.tracked_content == {**CREDENTIALS, "password": "second"}
    assert tracked.label == "database-4-user"


def test_plain_text_credentials_are_read_where_there_are_no_secrets() -> None:
    relation = postgresql(endpoints=PRIMARY, username="u", password="p", tls="True", tls_ca=authority("pg"))
    connection = connection_of(state(relation))
    assert connection is not None
    assert (connection.username, connection.password, connection.tls) == ("u", "p", True)
    assert connection.ca == authority("pg") + "\n"


@pytest.mark.parametrize("flag", ["False", "", "false"])
def test_without_tls_there_is_no_authority(flag: str) -> None:
    connection = connection_of(state(postgresql(endpoints=PRIMARY, username="u", password="p", tls=flag, tls_ca="x")))
    assert connection is not None
    assert (connection.tls, connection.ca) == (False, None)


@pytest.mark.parametrize(
    ("endpoints", "hosts"),
    [
        ("a:5432", ("a:5432",)),
        ("a:5432, b:6432,,a:5432", ("a:5432", "b:6432")),
        ("a", ("a:5432",)),
        ("10.1.2.3:5433", ("10.1.2.3:5433",)),
        ("[fd00::5]:5433,b:5432", ("[fd00::5]:5433", "b:5432")),
        ("fd00::5:5433", ("[fd00::5]:5433",)),
        ("fd00::", ("[fd00::]:5432",)),
        ("[::1]", ("[::1]:5432",)),
    ],
)
def test_endpoints_are_read_in_every_spelling(endpoints: str, hosts: tuple[str, ...]) -> None:
    connection = connection_of(state(postgresql(endpoints=endpoints, username="u", password="p")))
    assert connection is not None
    assert connection.hosts == hosts
    parsed = DatabaseUri.parse(connection.uri)
    bare = tuple((host.rpartition(":")[0].strip("[]"), int(host.rpartition(":")[2])) for host in hosts)
    assert parsed.hosts == tuple(Host(name, port) for name, port in bare)
    assert parsed.parameter("target_session_attrs") == ("read-write" if len(hosts) > 1 else None)


@pytest.mark.parametrize(
    "endpoints",
    [
        "a:b",
        "a:0",
        "a:65536",
        "a:99999999",
        "[::1",
        "[a]:5432",
        "::1]:5432",
        "a b:1",
        "u@a:1",
        "a/b:1",
        "a?x:1",
        "-a:1",
    ],
)
def test_an_endpoint_that_is_no_host_is_named_as_the_problem(endpoints: str) -> None:
    given_state = state(postgresql(endpoints=endpoints, username="u", password="p"))
    assert connection_of(given_state) is None
    assert problem_of(given_state) == ("postgresql-k8s handed out an endpoint that is not HOST:PORT", False)


@pytest.mark.parametrize(
    "databag",
    [{}, {"database": "mlflow"}, {"endpoints": PRIMARY}, {"endpoints": PRIMARY, "username": "u"}, {"data": "{}"}],
)
def test_a_database_that_is_not_handed_out_yet_is_waited_for(databag: dict[str, str]) -> None:
    given_state = state(ops.testing.Relation("database", remote_app_name="postgresql-k8s", remote_app_data=databag))
    assert connection_of(given_state) is None
    assert problem_of(given_state) == ("waiting for postgresql-k8s to hand out a database", True)


@pytest.mark.parametrize("secret_id", ["secret:csecretthatisnotthere", "garbage", "--help", "secret:-x", "a b"])
def test_a_secret_that_cannot_be_read_is_waited_for(secret_id: str) -> None:
    given_state = state(postgresql(endpoints=PRIMARY, secret_user=secret_id))
    assert connection_of(given_state) is None
    assert problem_of(given_state) == ("waiting for access to the secrets of postgresql-k8s", True)


def test_an_authority_that_is_not_pem_is_a_problem_not_a_connection_without_one() -> None:
    given_state = state(postgresql(endpoints=PRIMARY, username="u", password="p", tls="True", tls_ca="hunter2"))
    assert connection_of(given_state) is None
    assert problem_of(given_state) == ("postgresql-k8s handed out a certificate authority that is not PEM", False)


def test_the_leader_asks_once_for_the_database_and_for_secrets() -> None:
    relation = postgresql()
    asked, _ = transition(state(relation), lambda charm: Database(charm).request())
    databag = app_data(asked, relation)
    assert databag["database"] == "mlflow"
    assert json.loads(databag["requested-secrets"]) == ["username", "password", "tls", "tls-ca", "uris"]
    again, _ = transition(asked, lambda charm: Database(charm).request())
    assert app_data(again, relation) == databag


def test_a_follower_asks_nothing() -> None:
    relation = postgresql()
    asked, _ = transition(state(relation, leader=False), lambda charm: Database(charm).request())
    assert app_data(asked, relation) == {}


ODD_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(username=ODD_TEXT, password=ODD_TEXT, database=ODD_TEXT, several=st.booleans())
@example(username="u", password=string.punctuation, database="a/b?c", several=True)
@example(username="a:b@c", password="100%25+plus \n\t%", database="mlflow", several=False)
def test_the_server_reads_every_name_and_password_back(
    username: str, password: str, database: str, several: bool
) -> None:
    hosts = ("a:1", "[fd00::5]:2") if several else ("a:1",)
    connection = DatabaseConnection("4:x", hosts, database, username, password)
    parsed = DatabaseUri.parse(connection.uri)
    assert parsed.password is not None
    assert (parsed.user, parsed.password.reveal(), parsed.database) == (username, password, database)
    assert parsed.hosts == (Host("a", 1), Host("fd00::5", 2))[: len(hosts)]


def test_a_password_is_in_no_representation() -> None:
    connection = DatabaseConnection("4:x", ("a:1",), "mlflow", "u", "hunter2")
    assert "hunter2" not in repr(connection) + str(connection)
    assert "password" in {each.name for each in dataclasses.fields(connection)}


KEYS = ("endpoints", "read-only-endpoints", "database", "username", "password", "tls", "tls-ca", "secret-user")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(databag=hostile(KEYS), password=ODD_TEXT.map(lambda text: f"hunter2{text}"))
def test_no_databag_raises_or_leaks(databag: dict[str, str], password: str) -> None:
    relation = ops.testing.Relation("database", remote_app_data={**databag, "password": password})

    def look(charm: ops.CharmBase) -> tuple[DatabaseConnection | None, str | None]:
        return Database(charm).connection, Database(charm).problem

    connection, problem = read(state(relation), look)
    assert (connection is None) is (problem is not None)
    assert "hunter2" not in repr(connection) + str(problem)
    if connection is not None:
        assert connection.identity.startswith(f"{relation.id}:")
        assert DatabaseUri.parse(connection.uri).hosts
