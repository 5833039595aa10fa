"""Where this unit stands in Juju, as observability charms write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ops


@dataclass(frozen=True)
class Topology:
    """A unit by its model, application and charm."""

    model: str
    model_uuid: str
    application: str
    unit: str
    charm_name: str

    @classmethod
    def of(cls, charm: ops.CharmBase) -> Topology:
        return cls(charm.model.name, charm.model.uuid, charm.app.name, charm.unit.name, charm.meta.name)

    @property
    def metadata(self) -> Mapping[str, str]:
        """As databags hold it."""
        return {
            "model": self.model,
            "model_uuid": self.model_uuid,
            "application": self.application,
            "unit": self.unit,
            "charm_name": self.charm_name,
        }

    @property
    def application_labels(self) -> Mapping[str, str]:
        """The labels that every series and line of the application's units carry."""
        return {
            "juju_model": self.model,
            "juju_model_uuid": self.model_uuid,
            "juju_application": self.application,
        }

    @property
    def matchers(self) -> str:
        """The same as matchers of PromQL and LogQL."""
        return ", ".join(f'{name}="{value}"' for name, value in self.application_labels.items())

    @property
    def identifier(self) -> str:
        """A short name, unique among applications in practice."""
        return f"{self.model}_{self.model_uuid[:8]}_{self.application}"
