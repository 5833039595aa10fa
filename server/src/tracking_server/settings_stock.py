"""The settings of stock MLflow, which runs behind the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tracking_server.settings import SecretMap, setting
from tracking_server.settings_choices import StockJobs, StockStart


@dataclass(frozen=True, slots=True)
class StockSettings:
    """Stock MLflow, which answers what is not native."""

    enabled: bool = setting(True, "Run stock MLflow; off, what is not native is answered 503.")
    start: StockStart = setting(StockStart.EAGER, "Start it beside the server, or at the first request that needs it.")
    workers: int = setting(1, "Its serving processes.", minimum=1, maximum=64)
    jobs: StockJobs = setting(
        StockJobs.AUTO,
        "Whether it runs MLflow's background jobs (scorers, issue detection, prompt optimisation), which take processes"
        " of their own, 1.4 GiB in all. With auto it does from when they are first needed: for what the database holds"
        " or its own options ask for at its start, else for the first request that submits a job or sets up automatic"
        " evaluation, which waits while it is started again.",
    )
    arguments: tuple[str, ...] = setting(
        (), "Further arguments for its command line.", words=True, example='["--secrets-cache-ttl", "120"]'
    )
    environment: SecretMap = setting(
        SecretMap(),
        "Further environment variables for it, such as the gateway's API keys.",
        example='{OPENAI_API_KEY = "…"}',
    )
    start_timeout: float = setting(
        120.0, "How long it may take to answer after its start.", minimum=5, maximum=3600, unit="seconds"
    )
    restart_delay: float = setting(
        1.0,
        "Wait before it is started again after an unexpected end; doubles each time.",
        minimum=0.1,
        maximum=600,
        unit="seconds",
    )
    restart_delay_max: float = setting(30.0, "The longest such wait.", minimum=0.1, maximum=3600, unit="seconds")
    socket_directory: Path | None = setting(
        None,
        "Folder for its Unix socket, which only our user may open; unset makes a temporary one.",
        example="/run/tracking-server",
    )
