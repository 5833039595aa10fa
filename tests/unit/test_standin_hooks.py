"""The rules of the stand-in for Juju: who may read and write what, what is told to whom, and when it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.standin.arguments import ToolError, parse
from tests.standin.charm_files import CharmFiles, Option
from tests.standin.hooks import Hook
from tests.standin.lifecycle import Lifecycle
from tests.standin.model import Action, Application, Endpoint, Event, Model, Relation, Unit


class Two:
    """``web`` with two units, the first one leading, related to ``db`` with one; all have met and nothing waits."""

    def __init__(self) -> None:
        self.model = Model("ml")
        self.lifecycle = Lifecycle(self.model)
        for app, count in (("web", 2), ("db", 1)):
            units = {f"{app}/{number}": Unit(f"{app}/{number}", address=f"10.0.0.{number}") for number in range(count)}
            self.model.apps[app] = Application(app, charm=_charm(app), units=units, leader=f"{app}/0")
        self.peers = self.model.new_relation(Endpoint("web", "peers"))
        self.relation = self.model.new_relation(Endpoint("web", "database"), Endpoint("db", "clients"))
        for relation in (self.peers, self.relation):
            for unit in self.model.units():
                if relation.local(unit.app):
                    self.lifecycle.entered(relation, unit)
            for unit in self.model.units():
                relation.visible[unit.name] = set(relation.others(unit.name))
        self.forget_events()

    def hook(self, unit: str, action: Action | None = None) -> Hook:
        return Hook(self.model, self.lifecycle, self.model.unit(unit), Event("update-status"), action)

    def forget_events(self) -> None:
        for unit in self.model.units():
            unit.queue.clear()

    def waiting(self, unit: str) -> list[str]:
        return [event.name for event in self.model.unit(unit).queue]

    def write(self, unit: str, relation: Relation, *, app: bool = False, **contents: str) -> None:
        hook = self.hook(unit)
        _set(hook, relation, app=app, **contents)
        hook.commit()


@pytest.fixture
def two() -> Two:
    return Two()


def _charm(app: str) -> CharmFiles:
    return CharmFiles(
        folder=Path("/nowhere"),
        name=app,
        endpoints={"database": "x", "clients": "x", "peers": "y"},
        peers=frozenset({"peers"}),
        limits={},
        containers={},
        storage=("data",),
        options={"workers": Option("int", 2), "name": Option("string")},
        actions={},
        user="root",
    )


def _get(hook: Hook, relation: Relation, owner: str) -> object:
    app = ["--app"] if "/" not in owner else []
    return json.loads(hook.run("relation-get", ["--format=json", "-r", f"{relation.id}", *app, "-", owner]))


def _set(hook: Hook, relation: Relation, *, app: bool = False, **contents: str) -> None:
    options = ["--app"] if app else []
    hook.run("relation-set", ["-r", f"{relation.id}", *options, "--file", "-"], json.dumps(contents))


@pytest.mark.parametrize(
    ("reader", "peers", "owner", "allowed"),
    [
        ("web/0", False, "web/0", True),
        ("web/0", False, "web", True),
        ("web/0", False, "db", True),
        ("web/0", False, "db/0", True),
        ("web/0", False, "web/1", False),
        ("web/1", False, "web", False),
        ("web/1", False, "db", True),
        ("web/1", True, "web", True),
        ("web/1", True, "web/0", True),
        ("web/1", True, "db", False),
    ],
)
def test_databags_are_shown_to_whom_juju_shows_them(
    two: Two, reader: str, peers: bool, owner: str, allowed: bool
) -> None:
    relation = two.peers if peers else two.relation
    relation.bag(owner)["key"] = "value"
    if not allowed:
        with pytest.raises(ToolError, match="permission denied"):
            _get(two.hook(reader), relation, owner)
    else:
        content = _get(two.hook(reader), relation, owner)
        assert isinstance(content, dict)
        assert content["key"] == "value"


def test_only_the_leader_writes_the_applications_databag(two: Two) -> None:
    with pytest.raises(ToolError, match="cannot write relation settings"):
        _set(two.hook("web/1"), two.relation, app=True, key="value")
    two.write("web/0", two.relation, app=True, key="value")
    assert two.relation.data["web"] == {"key": "value"}


def test_what_a_hook_writes_counts_when_it_succeeds(two: Two) -> None:
    hook = two.hook("web/0")
    _set(hook, two.relation, key="value")
    content = _get(hook, two.relation, "web/0")
    assert isinstance(content, dict)
    assert content["key"] == "value"
    assert "key" not in two.relation.data["web/0"]
    assert two.waiting("db/0") == []

    hook.commit()
    assert two.relation.data["web/0"]["key"] == "value"
    assert two.waiting("db/0") == ["clients-relation-changed"]


def test_an_empty_value_removes_a_key(two: Two) -> None:
    two.write("web/0", two.relation, key="value")
    two.write("web/0", two.relation, key="")
    assert "key" not in two.relation.data["web/0"]


def test_a_change_is_told_once_to_those_who_see_it(two: Two) -> None:
    two.write("web/0", two.peers, app=True, key="1")
    two.write("web/0", two.peers, app=True, key="2")
    assert (two.waiting("web/0"), two.waiting("web/1")) == ([], ["peers-relation-changed"])
    two.forget_events()

    two.write("web/0", two.peers, app=True, key="2")
    assert two.waiting("web/1") == []

    two.write("db/0", two.relation, app=True, key="1")
    assert two.waiting("web/0") == two.waiting("web/1") == ["database-relation-changed"]


def test_a_new_relation_is_created_joined_and_changed(two: Two) -> None:
    relation = two.model.new_relation(Endpoint("web", "database"), Endpoint("db", "clients"))
    two.lifecycle.related(relation)
    assert two.waiting("web/0") == ["database-relation-created"]
    with pytest.raises(ToolError, match="not found"):
        _get(two.hook("web/0"), relation, "db")

    two.forget_events()
    for unit in two.model.units():
        two.lifecycle.entered(relation, unit)
    assert two.waiting("web/0") == ["database-relation-joined", "database-relation-changed"]
    assert two.waiting("db/0") == ["clients-relation-joined", "clients-relation-changed"] * 2


def test_a_leaving_unit_departs_from_all_and_is_named(two: Two) -> None:
    two.lifecycle.dying(two.model.unit("web/1"), ["data"])
    assert two.waiting("web/1") == [
        "peers-relation-departed",
        "peers-relation-broken",
        "database-relation-departed",
        "database-relation-broken",
        "data-storage-detaching",
        "stop",
        "remove",
    ]
    assert [event.environment["JUJU_DEPARTING_UNIT"] for event in two.model.unit("db/0").queue] == ["web/1"]
    goal = json.loads(two.hook("web/0").run("goal-state", ["--format=json"]))
    assert {name: unit["status"] for name, unit in goal["units"].items()} == {"web/0": "active", "web/1": "dying"}


def test_a_removed_relation_is_gone_for_all_when_all_have_seen_it_broken(two: Two) -> None:
    secret = two.model.new_secret("db", {"password": "x"})
    secret.grants["web"] = two.relation.id
    two.lifecycle.unrelated(two.relation)
    assert two.waiting("web/0") == ["database-relation-departed", "database-relation-broken"]
    for unit in ("web/0", "web/1"):
        two.lifecycle.left(two.relation, unit)
    assert secret.grants
    two.lifecycle.left(two.relation, "db/0")
    assert two.relation.id not in two.model.relations
    assert not secret.grants


def test_a_secret_is_read_with_a_grant_and_followed_until_refreshed(two: Two) -> None:
    hook = two.hook("db/0")
    uri = hook.run("secret-add", ["--label", "mine", "password=one"])
    hook.commit()
    with pytest.raises(ToolError, match="permission denied"):
        two.hook("web/0").run("secret-get", [uri])

    hook = two.hook("db/0")
    hook.run("secret-grant", ["--relation", str(two.relation.id), uri])
    hook.commit()
    read = ["--format=json", uri, "--label", "theirs"]
    assert json.loads(two.hook("web/0").run("secret-get", read)) == {"password": "one"}

    hook = two.hook("db/0")
    hook.run("secret-set", [uri, "password=two"])
    assert two.waiting("web/0") == []
    hook.commit()
    (event,) = two.model.unit("web/0").queue
    assert (event.name, event.environment["JUJU_SECRET_LABEL"]) == ("secret-changed", "theirs")
    assert two.waiting("web/1") == []

    consumer = two.hook("web/0")
    by_label = ["--format=json", "--label", "theirs"]
    assert json.loads(consumer.run("secret-get", by_label)) == {"password": "one"}
    assert json.loads(consumer.run("secret-get", [*by_label, "--peek"])) == {"password": "two"}
    assert json.loads(consumer.run("secret-get", [*by_label, "--refresh"])) == {"password": "two"}
    assert json.loads(consumer.run("secret-get", by_label)) == {"password": "two"}
    (removal,) = two.model.unit("db/0").queue
    assert (removal.name, removal.environment["JUJU_SECRET_REVISION"]) == ("secret-remove", "1")


def test_a_secret_that_stays_the_same_has_no_new_revision(two: Two) -> None:
    secret = two.model.new_secret("db", {"password": "one"})
    hook = two.hook("db/0")
    hook.run("secret-set", [secret.uri, "password=one"])
    hook.commit()
    assert secret.latest == 1


def test_a_secret_of_a_failed_hook_never_was(two: Two) -> None:
    hook = two.hook("web/0")
    uri = hook.run("secret-add", ["--owner", "unit", "key=value"])
    assert json.loads(hook.run("secret-get", ["--format=json", uri])) == {"key": "value"}
    with pytest.raises(ToolError, match="not found"):
        two.hook("web/0").run("secret-get", [uri])


def test_secrets_of_the_application_are_the_leaders(two: Two) -> None:
    with pytest.raises(ToolError, match="not the leader"):
        two.hook("web/1").run("secret-add", ["key=value"])


def test_configuration_has_defaults_and_nothing_else(two: Two) -> None:
    assert json.loads(two.hook("web/0").run("config-get", ["--format=json"])) == {"workers": 2}


def test_ports_count_when_the_hook_succeeds(two: Two) -> None:
    hook = two.hook("web/0")
    hook.run("open-port", ["5000/tcp"])
    assert two.model.unit("web/0").ports == set()
    hook.commit()
    assert two.hook("web/0").run("opened-ports", ["--format=json"]) == '["5000/tcp"]'


def test_an_action_has_results_a_log_and_a_failure(two: Two) -> None:
    action = Action("collect", {"dry-run": True})
    hook = two.hook("web/0", action)
    assert hook.run("action-get", ["--format=json", "dry-run"]) == "true"
    hook.run("action-log", ["--", "-1 of 3"])
    hook.run("action-set", ["runs=1", "a.b=c=d"])
    hook.run("action-fail", ["--", "no"])
    assert (action.log, action.results, action.failure) == (["-1 of 3"], {"runs": "1", "a.b": "c=d"}, "no")
    with pytest.raises(ToolError, match="lowercase"):
        hook.run("action-set", ["Dry_Run=1"])
    with pytest.raises(ToolError, match="not running an action"):
        two.hook("web/0").run("action-get", [])


def test_a_status_is_one_of_jujus(two: Two) -> None:
    two.hook("web/0").run("status-set", ["--application=False", "active", "--", "all is well"])
    assert str(two.model.unit("web/0").status) == "active: all is well"
    with pytest.raises(ToolError, match="invalid status"):
        two.hook("web/0").run("status-set", ["error"])
    with pytest.raises(ToolError, match="not the leader"):
        two.hook("web/1").run("status-set", ["--application=True", "active"])


def test_arguments_are_read_as_jujus_command_line_reads_them() -> None:
    parsed = parse(["--format=json", "-r", "db:1", "--app", "-", "web/0", "--", "--label"], frozenset({"-r"}))
    assert parsed.options == {"--format": "json", "-r": "db:1", "--app": "true"}
    assert parsed.positional == ("-", "web/0", "--label")
    assert not parse(["--application=False"], frozenset()).has("--application")
    with pytest.raises(ToolError, match="needs an argument"):
        parse(["-r"], frozenset({"-r"}))
