"""Where a unit serves from: the storage of one unit (embedded) or what is integrated. A pure decision.

Database and artifacts are decided alike and apart. One unit holds embedded data, the *holder*; the leader records
which. The holder *releases* its data for an integrated database or object store when there is none, or when the
operator said so; then the leader *adopts* that one, for good. So embedded data is never left behind unasked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.StrEnum):
    DATABASE = "database"
    ARTIFACTS = "artifacts"


class Source(enum.StrEnum):
    EMBEDDED = "embedded"
    INTEGRATED = "integrated"
    NONE = "none"


class Reason(enum.StrEnum):
    """Why a source was chosen."""

    ADOPTED = "adopted"
    NOTHING_INTEGRATED = "nothing integrated"
    DATA_KEPT = "embedded data exists, and nobody said what to do with it"
    NOT_READY = "integrated, and gives nothing that can be used"
    REMOVED = "was adopted, and is no longer integrated"
    OTHER_HOLDER = "another unit holds the embedded data"
    HOLDER_GONE = "the unit that held the embedded data is gone"
    UNDECIDED = "another unit decides"


@dataclass(frozen=True)
class Offer:
    """What is known of one kind.

    ``identity`` is that of a ready integration; ``adopted`` and ``released`` are identities on record with the peers,
    the latter the holder's; ``has_data`` tells of this unit's storage, None where nobody looked.
    """

    related: bool = False
    identity: str | None = None
    adopted: str | None = None
    released: str | None = None
    has_data: bool | None = None


@dataclass(frozen=True)
class Situation:
    """What one unit knows. ``holder`` as recorded; ``present`` are all units, this one among them."""

    unit: str
    leader: bool
    holder: str | None
    present: frozenset[str]
    offers: Mapping[Kind, Offer]

    @property
    def holds(self) -> bool:
        """Whether embedded data, if any, is this unit's; before anyone is on record it is the leader's."""
        return self.holder == self.unit or (self.holder is None and self.leader)

    @property
    def holder_is_gone(self) -> bool:
        return self.holder is not None and self.holder not in self.present

    def must_look(self, kind: Kind) -> bool:
        """Whether the decision depends on this unit's storage."""
        offer = self.offers[kind]
        return self.holds and offer.identity is not None and offer.adopted is None and offer.released != offer.identity


@dataclass(frozen=True)
class Choice:
    """The source of one kind, and what to put on record: ``adopt`` as leader, ``release`` as holder."""

    source: Source
    reason: Reason
    adopt: str | None = None
    release: str | None = None


@dataclass(frozen=True)
class Decision:
    """Both choices, and the holder to put on record, if any."""

    choices: Mapping[Kind, Choice]
    holder: str | None

    @property
    def serves(self) -> bool:
        return all(choice.source is not Source.NONE for choice in self.choices.values())

    @property
    def sources(self) -> dict[Kind, Source]:
        return {kind: choice.source for kind, choice in self.choices.items()}

    def is_embedded(self, kind: Kind) -> bool:
        return self.choices[kind].source is Source.EMBEDDED


def decide(situation: Situation) -> Decision:
    """Decides for one unit. ``has_data`` must be known where ``must_look`` says so; unknown counts as data."""
    choices = {kind: _choose(situation, situation.offers[kind]) for kind in Kind}
    serves = all(choice.source is not Source.NONE for choice in choices.values())
    embeds = any(choice.source is Source.EMBEDDED for choice in choices.values())
    first = situation.leader and situation.holder is None and serves and embeds
    return Decision(choices, situation.unit if first else None)


def _choose(situation: Situation, offer: Offer) -> Choice:
    if offer.adopted is not None:
        return _after_adoption(situation, offer)
    if offer.identity is not None:
        return _offered(situation, offer, offer.identity)
    # Where nothing was embedded before, a database that is on its way is worth waiting for.
    if offer.related and situation.holder is None:
        return Choice(Source.NONE, Reason.NOT_READY)
    if situation.holds:
        return Choice(Source.EMBEDDED, Reason.NOT_READY if offer.related else Reason.NOTHING_INTEGRATED)
    return Choice(Source.NONE, _why_not_here(situation))


def _after_adoption(situation: Situation, offer: Offer) -> Choice:
    if offer.identity is None:
        return Choice(Source.NONE, Reason.NOT_READY if offer.related else Reason.REMOVED)
    if offer.identity == offer.adopted:
        return Choice(Source.INTEGRATED, Reason.ADOPTED)
    # The operator integrated another one; the embedded data was given up before.
    if situation.leader:
        return Choice(Source.INTEGRATED, Reason.ADOPTED, adopt=offer.identity)
    return Choice(Source.NONE, Reason.UNDECIDED)


def _offered(situation: Situation, offer: Offer, identity: str) -> Choice:
    released = offer.released == identity
    if released or (situation.holds and offer.has_data is False):
        release = None if released else identity
        if situation.leader:
            return Choice(Source.INTEGRATED, Reason.ADOPTED, adopt=identity, release=release)
        return Choice(Source.NONE, Reason.UNDECIDED, release=release)
    if situation.holds:
        return Choice(Source.EMBEDDED, Reason.DATA_KEPT)
    return Choice(Source.NONE, _why_not_here(situation))


def _why_not_here(situation: Situation) -> Reason:
    if situation.holder_is_gone:
        return Reason.HOLDER_GONE
    return Reason.UNDECIDED if situation.holder is None else Reason.OTHER_HOLDER
