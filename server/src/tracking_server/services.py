"""What a handler may use besides its request: built once by ``build_app``, then passed to every handler."""

from __future__ import annotations

from dataclasses import dataclass

from tracking_server.artifacts.destination import ArtifactDestination
from tracking_server.artifacts.health import StorageHealth
from tracking_server.config import Config
from tracking_server.metrics import RequestMetrics
from tracking_server.store.database import Database
from tracking_server.store.new_runs import NewRuns
from tracking_server.store.run_log import RunLog
from tracking_server.ui_files import UiFiles
from tracking_server.upstream.forward import Forwarder


@dataclass(frozen=True, slots=True)
class Services:
    """The process's long-lived collaborators."""

    config: Config
    database: Database
    new_runs: NewRuns
    run_log: RunLog
    artifacts: ArtifactDestination
    storage_health: StorageHealth
    ui_files: UiFiles
    forwarder: Forwarder
    metrics: RequestMetrics
