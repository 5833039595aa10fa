"""Names for runs that nobody named: an adjective, an animal and a number, such as ``brisk-heron-417``."""

from __future__ import annotations

import random

_ADJECTIVES = (
    "able agile amber ample bold brave bright brisk calm clear clever crisp daring deft eager fair fleet fond free"
    " fresh gentle glad grand happy keen kind lively loyal lucid merry mild neat nimble noble plucky polite proud quick"
    " quiet rapid ready serene sharp smart snug solid spry stoic sunny swift tidy vivid warm wise witty zesty"
).split()
_ANIMALS = (
    "ant bat bear bee boar carp cat cod colt crab crane crow deer dove duck eel elk ewe fawn finch fox frog gnu goat"
    " goose gull hare hawk hen heron ibex ibis jay kite lamb lark lion llama lynx mole moose moth mouse newt okapi"
    " orca otter owl panda perch pony puma quail raven robin seal shark shrew skua sloth snail squid stoat stork swan"
    " tapir tern tiger toad trout vole wasp whale wolf wren yak zebra"
).split()


def random_run_name() -> str:
    """A name of at most 20 characters, as long as stock's (mlflow/utils/name_utils.py)."""
    # Names tell runs apart for people; nothing relies on nobody guessing them.
    return f"{random.choice(_ADJECTIVES)}-{random.choice(_ANIMALS)}-{random.randrange(1000)}"  # noqa: S311  as said
