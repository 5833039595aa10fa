"""What all hook tools of one hook share: who asks, in which event, and what waits to be committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.standin.arguments import ToolError
from tests.standin.charm_files import CharmFiles
from tests.standin.lifecycle import Lifecycle
from tests.standin.model import Action, Application, Event, Model, Unit


@dataclass
class HookBase:
    """One event of one unit; ``action`` is the one that it runs, if any."""

    model: Model
    lifecycle: Lifecycle
    unit: Unit
    event: Event
    action: Action | None = None
    opened: set[str] = field(init=False, default_factory=set)
    closed: set[str] = field(init=False, default_factory=set)

    @property
    def app(self) -> Application:
        return self.model.app(self.unit.app)

    @property
    def charm(self) -> CharmFiles | None:
        return self.app.charm

    @property
    def environment(self) -> Mapping[str, str]:
        return self.event.environment

    @property
    def is_leader(self) -> bool:
        return self.model.is_leader(self.unit.name)

    def need_leader(self, what: str) -> None:
        """Raises ToolError on a unit that does not lead."""
        if not self.is_leader:
            raise ToolError(f"{what}: this unit is not the leader")
