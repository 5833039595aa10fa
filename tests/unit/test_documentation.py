"""Whether the pages say what is: names in commands, links, and the generated reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.project_files import ROOT, endpoints, load, make_targets
from tools.charm_reference import reference

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
APP = "mlflow-tracking"
# What the commands of the pages are made of, in Juju 3.6.
VERBS = {
    "add-model",
    "add-secret",
    "bootstrap",
    "config",
    "debug-log",
    "deploy",
    "destroy-model",
    "grant-secret",
    "integrate",
    "model-config",
    "offer",
    "refresh",
    "run",
    "scale-application",
    "scp",
    "ssh",
    "status",
    "switch",
    "trust",
}


def commands(page: Path) -> Iterator[str]:
    """Gives the commands of a page: its indented lines, and what stands between backquotes."""
    text = page.read_text()
    for line in re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE):
        yield line.partition(" #")[0].rstrip()
    yield from re.findall(r"`([^`\n]+)`", text)


def juju(verb: str) -> list[list[str]]:
    """Returns the words behind `juju VERB` of every such command of all pages."""
    found = [re.search(rf"\bjuju {verb}\b(.*)", command) for page in PAGES for command in commands(page)]
    return [match[1].split() for match in found if match]


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == reference(), "run `make reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_make_and_juju_exist(page: Path) -> None:
    for command in commands(page):
        if match := re.match(r"make ([a-z][a-z -]*)", command):
            assert set(match[1].split()) <= make_targets(), command
        if match := re.search(r"\bjuju ([a-z][a-z-]+)", command):
            assert match[1] in VERBS, command


def test_actions_and_their_parameters_exist() -> None:
    actions = load("actions.yaml")
    runs = [words for words in juju("run") if words and words[0].startswith(f"{APP}/")]
    assert runs
    for words in runs:
        action, parameters = words[1], [word for word in words[2:] if not word.startswith(("-", "|"))]
        names = {name for word in parameters if "=" in word for name in [word.partition("=")[0]]}
        assert names <= actions[action].get("params", {}).keys(), words


def test_options_exist() -> None:
    options = load("config.yaml")["options"]
    configs = [words[1:] for words in juju("config") if words and words[0] == APP]
    assert configs
    for words in configs:
        names = {word.partition("=")[0] for word in words if re.match(r"[a-z-]+=", word)}
        names |= {words[at + 1] for at, word in enumerate(words) if word == "--reset"}
        assert names
        assert names <= options.keys(), words


def test_endpoints_exist() -> None:
    integrations = [words for words in juju("integrate") if any(word.startswith(f"{APP}:") for word in words)]
    assert integrations
    for words in integrations:
        for word in words:
            if word.startswith(f"{APP}:"):
                assert word.partition(":")[2] in endpoints(), words


def test_the_image_and_the_charm_are_named_as_they_are_packed() -> None:
    application = load("bundle.yaml")["applications"][APP]
    image = application["resources"]["tracking-server-image"]
    named = {found for page in PAGES for found in re.findall(r"localhost:32000/[\w.:-]+\w", page.read_text())}
    assert named == {image}
    charms = {found for page in PAGES for found in re.findall(r"\./[\w-]+\.charm", page.read_text())}
    assert charms == {application["charm"]}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = {(page.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)", page.read_text())}
        waiting += [other for other in PAGES if other.resolve() in links - reached]
    assert reached == set(PAGES)
