"""The object store's relations: S3 of both versions, and MinIO's older interface."""

from __future__ import annotations

import dataclasses
import json
from urllib.parse import urlsplit

import ops.testing
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from object_storage import S3Provider
from tests.unit.relations.certificate_texts import authority
from tests.unit.relations.tiny import app_data, hostile, read, transition

from relations.bucket import Bucket
from relations.object_storage import ObjectStorage
from tracking_server.artifacts.destination import open_destination
from tracking_server.config import AddressingStyle, ArtifactSettings, Secret

KEYS = {"access-key": "AK", "secret-key": "hunter2"}
STORE = {"endpoint": "https://s3.example.com", "bucket": "models"}


def s3(databag: dict[str, str], number: int = 7) -> ops.testing.Relation:
    return ops.testing.Relation("object-storage", id=number, remote_app_name="s3-integrator", remote_app_data=databag)


def minio(databag: dict[str, str]) -> ops.testing.Relation:
    return ops.testing.Relation("minio", id=8, remote_app_name="minio", remote_app_data=databag)


def state(*relations: ops.testing.Relation, secrets: tuple[ops.testing.Secret, ...] = ()) -> ops.testing.State:
    return ops.testing.State(relations=relations, secrets=secrets, leader=True)


def bucket_of(given_state: ops.testing.State) -> Bucket | None:
    return read(given_state, lambda charm: ObjectStorage(charm).bucket)


def problem_of(given_state: ops.testing.State) -> tuple[str | None, bool]:
    return read(given_state, lambda charm: (ObjectStorage(charm).problem, ObjectStorage(charm).waiting))


def test_without_a_relation_there_is_nothing_and_no_problem() -> None:
    nothing = ops.testing.State(leader=True)
    assert not read(nothing, lambda charm: ObjectStorage(charm).related)
    assert bucket_of(nothing) is None
    assert problem_of(nothing) == (None, False)


def test_v0_is_read_from_plain_text_with_every_option() -> None:
    relation = s3(
        {
            **KEYS,
            **STORE,
            "endpoint": "https://s3.example.com:9000/",
            "path": "/team/a/",
            "region": "eu-west-1",
            "s3-uri-style": "host",
            "tls-ca-chain": json.dumps([authority("root"), authority("middle")]),
            "storage-class": "STANDARD",
            "attributes": '["x"]',
            "data": '{"bucket": "relation-7"}',
        }
    )
    bucket = bucket_of(state(relation))
    assert bucket == Bucket(
        identity="7:models/team/a",
        name="models",
        path="team/a",
        endpoint="https://s3.example.com:9000",
        region="eu-west-1",
        ca_chain=f"{authority('root')}\n{authority('middle')}\n",
        addressing_style="virtual",
        access_key="AK",
        secret_key="hunter2",
    )
    assert bucket.destination == "s3://models/team/a"
    assert "hunter2" not in repr(bucket)


@pytest.mark.parametrize("path", ["", "a", "a/b.c/d_e", "experiments=1,2/(x)!'*@:~$&+-"])
def test_the_server_reads_the_destination_back(path: str) -> None:
    bucket = bucket_of(state(s3({**KEYS, **STORE, "path": path, "region": "eu-west-1", "s3-uri-style": "path"})))
    assert bucket is not None
    served = ArtifactSettings(
        destination=bucket.destination,
        s3_endpoint=bucket.endpoint,
        s3_region=bucket.region,
        s3_addressing_style=AddressingStyle(bucket.addressing_style),
        s3_access_key_id=Secret(bucket.access_key),
        s3_secret_access_key=Secret(bucket.secret_key),
    )
    assert open_destination(served, {}).uri == f"s3://models/{path}".rstrip("/")
    assert urlsplit(bucket.destination).path.strip("/") == path


def test_v1_is_read_from_a_secret_and_a_rotation_at_once() -> None:
    keys = ops.testing.Secret(KEYS, latest_content={"access-key": "AK2", "secret-key": "new"})
    relation = s3({**STORE, "version": "1", "secret-extra": keys.id})
    after, bucket = transition(state(relation, secrets=(keys,)), lambda charm: ObjectStorage(charm).bucket)
    assert bucket is not None
    assert (bucket.access_key, bucket.secret_key, bucket.destination) == ("AK2", "new", "s3://models")
    assert (bucket.region, bucket.ca_chain, bucket.addressing_style) == (None, None, "auto")
    assert after.get_secret(id=keys.id).label == "object-storage-7-extra"


def test_aws_needs_no_endpoint() -> None:
    bucket = bucket_of(state(s3({**KEYS, "bucket": "models", "region": "eu-west-1"})))
    assert bucket is not None
    assert bucket.endpoint is None


@pytest.mark.parametrize(
    "chain",
    ["", "[]", authority("root"), json.dumps([authority("root")])],
    ids=["no-text", "empty-list", "text", "list"],
)
def test_a_chain_is_a_list_or_a_text(chain: str) -> None:
    bucket = bucket_of(state(s3({**KEYS, **STORE, "tls-ca-chain": chain})))
    assert bucket is not None
    assert bucket.ca_chain == (authority("root") + "\n" if "CERT" in chain else None)


@pytest.mark.parametrize("bucket", ["", "relation-7", "relation-31"])
def test_a_missing_bucket_is_named_as_the_problem(bucket: str) -> None:
    given_state = state(s3({**KEYS, **STORE, "bucket": bucket}))
    assert bucket_of(given_state) is None
    assert problem_of(given_state) == ("s3-integrator names no bucket; set its option bucket to one that exists", False)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"bucket": "a b"}, "a bucket with an impossible name"),
        ({"bucket": "hunter2@x/y"}, "a bucket with an impossible name"),
        ({"path": "a/../b"}, "a path with characters that URIs do not keep"),
        ({"path": "a?hunter2"}, "a path with characters that URIs do not keep"),
        ({"endpoint": "s3.example.com"}, "an endpoint that is not http://… or https://…"),
        ({"endpoint": "https://u:hunter2@s3.example.com"}, "an endpoint that is not http://… or https://…"),
        ({"endpoint": "https://[::1"}, "an endpoint that is not http://… or https://…"),
        ({"endpoint": "http://h:99999"}, "an endpoint that is not http://… or https://…"),
        ({"region": "eu west"}, "a region with an impossible name"),
        ({"tls-ca-chain": "hunter2"}, "a tls-ca-chain that is not PEM"),
        ({"tls-ca-chain": '["hunter2"]'}, "a tls-ca-chain that is not PEM"),
        ({"tls-ca-chain": "[3]"}, "a tls-ca-chain that is not PEM"),
    ],
)
def test_a_wrong_value_is_named_without_repeating_it(wrong: dict[str, str], problem: str) -> None:
    given_state = state(s3({**KEYS, **STORE, **wrong}))
    assert bucket_of(given_state) is None
    assert problem_of(given_state) == (f"s3-integrator handed out {problem}", False)


@pytest.mark.parametrize("databag", [{}, {"version": "1"}, STORE, {**STORE, "access-key": "AK"}])
def test_keys_that_are_not_handed_out_yet_are_waited_for(databag: dict[str, str]) -> None:
    assert problem_of(state(s3(databag))) == (
        "waiting for s3-integrator to hand out the keys of an object store",
        True,
    )


def test_a_secret_that_cannot_be_read_is_waited_for() -> None:
    given_state = state(s3({**STORE, "version": "1", "secret-extra": "secret:csecretthatisnotthere"}))
    assert problem_of(given_state) == ("waiting for access to the secret of s3-integrator", True)


@pytest.mark.parametrize(
    ("databag", "bucket"),
    [({}, None), ({"version": "1"}, None), ({"data": "{}"}, "relation-7"), (KEYS, "relation-7"), (STORE, "relation-7")],
)
def test_only_a_provider_of_v0_is_asked_for_a_bucket(databag: dict[str, str], bucket: str | None) -> None:
    relation = s3(databag)
    asked, _ = transition(state(relation), lambda charm: ObjectStorage(charm).request())
    written = app_data(asked, relation)
    assert written.pop("bucket", None) == bucket
    assert written == {"version": "1", "requested-secrets": '["access-key","secret-key"]'}
    again, _ = transition(asked, lambda charm: ObjectStorage(charm).request())
    assert app_data(again, relation) == app_data(asked, relation)


def test_a_provider_that_moves_to_v1_is_no_longer_asked_for_a_bucket() -> None:
    relation = s3({"data": "{}"})
    asked, _ = transition(state(relation), lambda charm: ObjectStorage(charm).request())
    moved = dataclasses.replace(relation, remote_app_data={"version": "1"}, local_app_data=app_data(asked, relation))
    after, _ = transition(state(moved), lambda charm: ObjectStorage(charm).request())
    assert "bucket" in app_data(asked, relation)
    assert "bucket" not in app_data(after, moved)


def test_a_follower_asks_nothing() -> None:
    relations = (s3({"data": "{}"}), minio({}))
    given_state = ops.testing.State(relations=relations, leader=False)
    asked, _ = transition(given_state, lambda charm: ObjectStorage(charm).request())
    assert [app_data(asked, relation) for relation in relations] == [{}, {}]


class Provider(ops.CharmBase):
    """A provider of the published library, version 1."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.s3 = S3Provider(self, "s3")
        framework.observe(self.s3.on.storage_connection_info_requested, self._answer)

    def _answer(self, event: ops.RelationEvent) -> None:
        contents = {**KEYS, **STORE, "tls-ca-chain": json.dumps([authority("root")]), "path": "a"}
        self.s3.update_relation_data(event.relation.id, contents)


def test_the_published_provider_answers_what_we_ask() -> None:
    ours = s3({})
    asked, _ = transition(state(ours), lambda charm: ObjectStorage(charm).request())
    theirs = ops.testing.Relation("s3", id=7, remote_app_data=app_data(asked, ours))
    context = ops.testing.Context(Provider, meta={"name": "provider", "provides": {"s3": {"interface": "s3"}}})
    answered = context.run(context.on.relation_changed(theirs), ops.testing.State(relations={theirs}, leader=True))
    secret = next(iter(answered.secrets))
    handed = ops.testing.Secret(secret.tracked_content or {}, id=secret.id)
    databag = app_data(answered, theirs)
    assert "hunter2" not in str(databag)
    bucket = bucket_of(state(s3(databag), secrets=(handed,)))
    assert bucket is not None
    assert (bucket.name, bucket.path, bucket.secret_key) == ("models", "a", "hunter2")
    assert bucket.ca_chain == authority("root") + "\n"


MINIO = {
    "access-key": "0123",
    "secret-key": "hunter2",
    "service": "minio",
    "namespace": "kubeflow",
    "port": 9000,
    "secure": False,
}


def test_minio_is_read_from_its_older_interface() -> None:
    bucket = bucket_of(state(minio({"_supported_versions": "- v1\n", "data": yaml.safe_dump(MINIO)})))
    assert bucket == Bucket(
        identity="8:mlflow/",
        name="mlflow",
        path="",
        endpoint="http://minio.kubeflow.svc.cluster.local:9000",
        addressing_style="path",
        access_key="0123",
        secret_key="hunter2",
    )


def test_minio_with_tls_and_without_a_namespace() -> None:
    data = yaml.safe_dump({**MINIO, "secure": True, "namespace": ""})
    bucket = bucket_of(state(minio({"data": data})))
    assert bucket is not None
    assert bucket.endpoint == "https://minio:9000"


@pytest.mark.parametrize(
    "change",
    [{"port": "x"}, {"port": 0}, {"service": "a/b"}, {"service": ""}, {"access-key": ""}, {"namespace": "a b"}],
)
def test_minio_with_wrong_data_is_a_problem(change: dict[str, object]) -> None:
    given_state = state(minio({"data": yaml.safe_dump({**MINIO, **change})}))
    assert bucket_of(given_state) is None
    problem = "minio handed out data that the interface object-storage does not allow"
    assert problem_of(given_state) == (problem, False)


def test_minio_of_another_version_is_a_problem() -> None:
    given_state = state(minio({"_supported_versions": "- v2\n"}))
    assert problem_of(given_state) == ("minio speaks another version of the interface object-storage", False)


def test_minio_is_told_our_version_and_waited_for() -> None:
    relation = minio({})
    asked, _ = transition(state(relation), lambda charm: ObjectStorage(charm).request())
    assert yaml.safe_load(app_data(asked, relation)["_supported_versions"]) == ["v1"]
    assert problem_of(state(relation)) == ("waiting for minio to hand out the keys of an object store", True)


def test_s3_wins_over_minio_even_while_it_is_waited_for() -> None:
    ready = minio({"data": yaml.safe_dump(MINIO)})
    bucket = bucket_of(state(s3({**KEYS, **STORE}), ready))
    assert bucket is not None
    assert bucket.name == "models"
    assert bucket_of(state(s3({}), ready)) is None


S3_KEYS = ("bucket", "path", "endpoint", "region", "tls-ca-chain", "s3-uri-style", "version", "secret-extra")
ODD_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


PLACES = {
    "s3": lambda databag, data, keys: s3({**databag, **keys}),
    "s3 with a bucket": lambda databag, data, keys: s3({**STORE, **databag, **keys}),
    "minio": lambda databag, data, keys: minio({"data": yaml.safe_dump({**data, **keys})}),
    "minio without YAML": lambda databag, data, keys: minio({"data": databag.get("path", "") + "hunter2"}),
}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=80, deadline=None)
@given(
    place=st.sampled_from(sorted(PLACES)),
    databag=hostile(S3_KEYS),
    data=hostile(tuple(MINIO)),
    key=ODD_TEXT.map(lambda text: f"hunter2{text}"),
)
def test_no_databag_raises_or_leaks(place: str, databag: dict[str, str], data: dict[str, str], key: str) -> None:
    relation = PLACES[place](databag, data, {"access-key": "AK", "secret-key": key})

    def look(charm: ops.CharmBase) -> tuple[Bucket | None, str | None]:
        ObjectStorage(charm).request()
        return ObjectStorage(charm).bucket, ObjectStorage(charm).problem

    bucket, problem = read(state(relation), look)
    assert (bucket is None) is (problem is not None)
    assert "hunter2" not in repr(bucket) + str(problem)
