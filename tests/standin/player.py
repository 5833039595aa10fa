"""Applications that a test plays: Python objects in place of charms, such as a PostgreSQL that grants databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.standin.model import Event, Relation, Secret

if TYPE_CHECKING:
    from tests.standin.juju import Juju


class Player:
    """One application with one unit, played by a test. Subclasses override ``relation_changed`` and its kin.

    What they write is committed at once. Attributes are there when ``Juju.play`` has added the player.
    """

    juju: Juju
    name: str

    def relation_created(self, relation: Relation) -> None:
        """The relation is new."""

    def relation_changed(self, relation: Relation) -> None:
        """The other side has joined, or has written a databag."""

    def relation_broken(self, relation: Relation) -> None:
        """The relation is gone."""

    @property
    def unit(self) -> str:
        return f"{self.name}/0"

    @property
    def relations(self) -> list[Relation]:
        return self.juju.model.relations_of(self.name)

    def remote_data(self, relation: Relation, unit: str | None = None) -> Mapping[str, str]:
        """The other side's application databag, or that of one of its units."""
        return dict(relation.data.get(unit or relation.remote(self.name).app, {}))

    def write(self, relation: Relation, contents: Mapping[str, str], *, unit: bool = False) -> None:
        """Writes keys of our application's (or unit's) databag; an empty value removes the key."""
        owner = self.unit if unit else self.name
        bag = relation.bag(owner)
        before = dict(bag)
        bag.update(contents)
        for key in [key for key, value in bag.items() if not value]:
            del bag[key]
        if bag != before:
            self.juju.lifecycle.databag_changed(relation, owner)

    def add_secret(self, relation: Relation, content: Mapping[str, str]) -> Secret:
        """A new secret of ours that the other side of the relation may read."""
        secret = self.juju.model.new_secret(self.name, content)
        secret.grants[relation.remote(self.name).app] = relation.id
        return secret

    def update_secret(self, secret: Secret, content: Mapping[str, str]) -> None:
        """A new revision of a secret."""
        secret.revisions[secret.latest + 1] = dict(content)
        self.juju.lifecycle.secret_changed(secret)

    def see(self, event: Event) -> None:
        """Calls the method that the event is for."""
        number = event.environment.get("JUJU_RELATION_ID", "").rpartition(":")[2]
        relation = self.juju.model.relations.get(int(number)) if number else None
        if relation is None:
            return
        if event.name.endswith("-relation-created"):
            self.relation_created(relation)
        elif event.name.endswith(("-relation-joined", "-relation-changed")):
            self.relation_changed(relation)
        elif event.name.endswith("-relation-broken"):
            self.relation_broken(relation)
