"""The options: what they allow, and that a wrong one leaves the running server alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ops
import ops.testing
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.helpers import Unit, command, commands, database, store

from charm_config import CharmConfig, ConfigError, comma_list
from tracking_server.cron import Schedule
from tracking_server.settings_gc import age_in_milliseconds

DECLARED: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["options"]


def config(**changes: Any) -> CharmConfig:
    """The defaults of config.yaml with these changes."""
    defaults = {name.replace("-", "_"): option.get("default") for name, option in DECLARED.items()}
    return CharmConfig(**{**defaults, **changes})


def test_every_declared_option_has_a_field_and_a_good_default() -> None:
    fields = {name.replace("_", "-") for name in CharmConfig.__dataclass_fields__}
    assert fields == set(DECLARED)
    assert config().workers == 2


WRONG: list[tuple[str, str | int, str]] = [
    ("workers", 0, "1 to 64"),
    ("workers", 65, "1 to 64"),
    ("log-level", "verbose", "debug, info, warning, error, critical"),
    ("max-json-body", 1, "1024 to 2147483648"),
    ("max-concurrent-requests", 0, "1 to 100000"),
    ("statement-timeout", -1, "0 to 86400"),
    ("database-connections", 0, "1 to 1000"),
    ("external-hostname", "https://mlflow.example.com", "without scheme"),
    ("external-hostname", "mlflow.example.com:5000", "without scheme and port"),
    ("allowed-hosts", "good.example.com, bad host", "host names"),
    ("allowed-hosts", "https://a.example.com", "host names"),
    ("cors-allowed-origins", "app.example.com", "https://app.example.com"),
    ("artifact-serving", "both", "proxied, direct"),
    ("gc-older-than", "30 days", "30d"),
    ("gc-older-than", "", "30d"),
    ("gc-schedule", "0 3 * *", "minute hour day month weekday"),
    ("gc-schedule", "60 3 * * 0", "minute hour day month weekday"),
    ("gc-schedule", "0 3 * * 9", "minute hour day month weekday"),
    ("external-service", "NodePort", "none, node-port, load-balancer"),
    ("cpu-request", "0", "500m"),
    ("cpu-limit", "two", "500m"),
    ("memory-request", "1 Gi", "512Mi"),
    ("memory-limit", "-1Gi", "512Mi"),
    ("stock-arguments", "--name 'open", "every quote closed"),
    ("stock-jobs", "true", "auto, always, never"),
]


@pytest.mark.parametrize(("option", "value", "allowed"), WRONG)
def test_a_wrong_value_names_the_option_and_what_it_allows(option: str, value: str | int, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**{option.replace("-", "_"): value})
    assert str(caught.value).startswith(f"{option}: {value!r} is not allowed; allowed: ")
    assert allowed in str(caught.value)


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError, match=r"workers: 0 .*; log-level: 'loud' "):
        config(workers=0, log_level="loud")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cpu_request": "2", "cpu_limit": "1500m"}, "cpu-request"),
        ({"memory_request": "2Gi", "memory_limit": "2G"}, "memory-request"),
    ],
)
def test_a_request_above_its_limit_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"{named}: .* at most .*-limit"):
        config(**changes)
    config(**{name: value for name, value in changes.items() if name.endswith("limit")})


@given(text=st.from_regex(r"(\d{1,3}d)?(\d{1,3}h)?(\d{1,3}m)?(\d{1,3}s)?", fullmatch=True) | st.text(max_size=8))
def test_a_duration_that_we_take_the_server_takes(text: str) -> None:
    try:
        config(gc_older_than=text)
    except ConfigError:
        return
    assert age_in_milliseconds(text) >= 0


CRON_FIELD = st.from_regex(r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?(,\d{1,2})?", fullmatch=True)


@given(text=st.lists(CRON_FIELD, min_size=5, max_size=5).map(" ".join))
def test_a_schedule_that_we_take_the_server_takes(text: str) -> None:
    try:
        config(gc_schedule=text)
    except ConfigError:
        return
    assert Schedule.parse(text)


def test_lists_lose_spaces_and_repetitions() -> None:
    assert comma_list(" a, b,,a ,") == ("a", "b")


def test_any_wrong_option_blocks_and_the_server_runs_on(unit: Callable[..., Unit]) -> None:
    one = unit(relations=[database(), store()])
    one.run()
    before = one.outcome[1:]
    for option, value, allowed in WRONG:
        one.change(config={option: value})
        one.run(lambda on: on.config_changed())
        assert one.status.name == "blocked"
        assert one.status.message.startswith(f"bad option {option}: {value!r} is not allowed; allowed: ")
        assert allowed in one.status.message
        assert one.outcome[1:] == before
    assert one.serves
    one.change(config={})
    one.run(lambda on: on.config_changed())
    assert not one.status.message


def test_what_only_the_server_can_judge_leaves_the_last_configuration(unit: Callable[..., Unit]) -> None:
    one = unit(relations=[database(), store()])
    one.run()
    before = one.outcome[1:]
    refusal = command("config check", "", 2, "stock.arguments: --gunicorn-opts is not allowed\n")
    one.change(config={"stock-arguments": "--gunicorn-opts x"}, execs=frozenset(commands(refusal)))
    one.run(lambda on: on.config_changed())
    assert one.status.name == "blocked"
    assert "stock.arguments" in one.status.message
    assert one.serves
    assert one.outcome[1:] == before
    assert "candidate.toml" not in {path.name for path in one.files.iterdir()}


def test_the_environment_of_stock_comes_from_a_secret_and_goes_into_the_file_alone(unit: Callable[..., Unit]) -> None:
    secret = ops.testing.Secret({"openai-api-key": "sk-first"}, owner=None)
    one = unit(secrets=[secret], config={"stock-environment": secret.id})
    one.run()
    assert '"OPENAI_API_KEY" = "sk-first"' in one.config_text
    rotated = ops.testing.Secret(
        {"openai-api-key": "sk-first"}, latest_content={"openai-api-key": "sk-next"}, id=secret.id
    )
    one.change(secrets=frozenset({rotated}))
    one.run(lambda on: on.secret_changed(rotated))
    assert '"OPENAI_API_KEY" = "sk-next"' in one.config_text
    assert "sk-next" not in str(one.container.plan.to_dict())


def test_a_secret_that_is_not_granted_blocks_with_the_remedy(unit: Callable[..., Unit]) -> None:
    one = unit(config={"stock-environment": "secret:d0erdgfmp25c762i8np0"})
    one.run()
    assert one.status.name == "blocked"
    assert "juju grant-secret" in one.status.message


def test_the_options_reach_the_file(unit: Callable[..., Unit]) -> None:
    one = unit(
        relations=[database(), store()],
        config={
            "workers": 7,
            "log-level": "debug",
            "max-json-body": 2048,
            "max-concurrent-requests": 9,
            "statement-timeout": 11,
            "database-connections": 13,
            "allowed-hosts": "*.lan,mlflow.example.com",
            "external-hostname": "tracking.example.com",
            "cors-allowed-origins": "https://app.example.com",
            "artifact-serving": "direct",
            "presigned-artifacts": True,
            "gc-older-than": "12h30m",
            "gc-schedule": "0 3 * * 0",
            "stock-arguments": "--opt 'a b'",
            "stock-jobs": "never",
        },
    )
    one.run()
    for line in (
        "workers = 7",
        'level = "debug"',
        "max_json_body = 2048",
        "max_concurrent = 9",
        "statement_timeout = 11",
        "pool_max = 13",
        'cors_allowed_origins = ["https://app.example.com"]',
        "serve = false",
        "presigned = true",
        'older_than = "12h30m"',
        'schedule = "0 3 * * 0"',
        'arguments = ["--opt", "a b"]',
        'jobs = "never"',
    ):
        assert line in one.config_text.splitlines()
    for host in ("*.lan", "mlflow.example.com", "tracking.example.com", "mlflow.data.svc.cluster.local:*"):
        assert f'"{host}"' in one.config_text
