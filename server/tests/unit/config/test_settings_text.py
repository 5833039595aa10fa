"""The example and the reference page say what the declarations say, and the page in docs/ is current."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from mlflow.server.security_utils import get_default_allowed_hosts

from tracking_server.config import Config
from tracking_server.settings import Setting, settings_of
from tracking_server.settings_loader import SETTINGS, load
from tracking_server.settings_text import example, reference, shown

DOCUMENT = Path(__file__).parents[4] / "docs" / "configuration.md"


def uncommented(text: str) -> str:
    return re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)


def test_the_reference_page_is_current() -> None:
    assert DOCUMENT.read_text("utf-8") == reference(), "run: tracking-server config reference > docs/configuration.md"


def test_the_example_changes_nothing_until_it_is_uncommented(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(example(), "utf-8")
    assert load(path, {}).config == Config()


def test_the_example_shows_every_setting_with_its_default_or_an_allowed_value() -> None:
    document = tomllib.loads(uncommented(example()))
    assert [f"{section}.{name}" for section, table in document.items() for name in table] == list(SETTINGS)
    for key, setting in SETTINGS.items():
        value = document[setting.section][setting.name]
        if setting.default is not None:
            assert setting.read_toml(value) == setting.default, key
        elif not setting.rule.existing_file:
            setting.read_toml(value)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.key)
def test_every_setting_explains_itself_and_names_its_variable(setting: Setting) -> None:
    assert setting.rule.help.endswith((".", "…"))
    assert setting.environment == "TRACKING_SERVER_" + setting.key.replace(".", "_").upper()
    assert f"`{setting.environment}`" in reference()
    assert setting.allowed
    limits = (setting.rule.minimum, setting.rule.maximum)
    assert setting.value_type not in (int, float) or None not in limits


def test_no_flag_or_variable_belongs_to_two_settings() -> None:
    owners: dict[str, set[str]] = {}
    for each in settings_of(Config):
        for name in (each.flag, each.rule.stock_flag, each.environment):
            if name is not None:
                owners.setdefault(name, set()).add(each.key)
    assert {name: keys for name, keys in owners.items() if len(keys) > 1} == {}


def test_a_bare_secret_has_no_flag() -> None:
    without = [each.key for each in settings_of(Config) if each.flag is None]
    secrets = ["s3_access_key_id", "s3_secret_access_key", "s3_session_token"]
    assert without == ["database.password", *(f"artifacts.{name}" for name in secrets), "stock.environment"]


def test_what_is_shown_reads_back_and_names_its_source(tmp_path: Path) -> None:
    environment = {"TRACKING_SERVER_SERVER_PORT": "5001", "TRACKING_SERVER_STOCK_ENVIRONMENT": "A=hunter2"}
    text = shown(load(None, environment))
    assert "port = 5001  # TRACKING_SERVER_SERVER_PORT\n" in text
    assert "hunter2" not in text
    path = tmp_path / "shown.toml"
    path.write_text(text, "utf-8")
    assert load(path, {}).config.server.port == 5001


def test_allowed_hosts_are_stocks() -> None:
    assert list(Config().server.allowed_hosts) == get_default_allowed_hosts()
