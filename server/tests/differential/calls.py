"""The calls that most scripts need, in one line each."""

from __future__ import annotations

from differential.harness.script import Call, get, post


def new_experiment(name: str = "e", save: str = "exp") -> Call:
    """Creates an experiment; ``{exp}`` is its id."""
    return post("experiments/create", {"name": name}, save={save: "experiment_id"})


def new_run(save: str = "run", *, name: str = "r", start_time: int = 1, exp: str = "exp", **more: object) -> Call:
    """Creates a run; ``{run}`` is its id."""
    body = {"experiment_id": f"{{{exp}}}", "start_time": start_time, "run_name": name, **more}
    return post("runs/create", body, save={save: "run.info.run_id"})


def try_run(name: str = "r", **more: object) -> Call:
    """Creates a run, perhaps in vain: saves nothing."""
    return post("runs/create", {"experiment_id": "{exp}", "start_time": 1, "run_name": name, **more})


def get_run(run: str = "run") -> Call:
    """Reads a run."""
    return get("runs/get", {"run_id": f"{{{run}}}"})


def on_run(operation: str, run: str = "run", /, **fields: object) -> Call:
    """``runs/<operation>`` with the run's id and ``fields``."""
    return post(f"runs/{operation}", {"run_id": f"{{{run}}}", **fields})


def log_metric(key: str, value: object, *, timestamp: int = 1_000, step: int = 0, run: str = "run") -> Call:
    """Logs one metric."""
    return on_run("log-metric", run, key=key, value=value, timestamp=timestamp, step=step)


def metric(
    key: str, value: object = 1.0, *, timestamp: int = 1_000, step: int = 0, **more: object
) -> dict[str, object]:
    """A metric of a batch."""
    return {"key": key, "value": value, "timestamp": timestamp, "step": step, **more}


def pair_of(key: str, value: object = "v") -> dict[str, object]:
    """A parameter or tag."""
    return {"key": key, "value": value}


def new_model(name: str = "m") -> Call:
    """Creates a registered model."""
    return post("registered-models/create", {"name": name})


def new_version(name: str = "m", source: str = "s3://bucket/model", **more: object) -> Call:
    """Creates a version of a registered model."""
    return post("model-versions/create", {"name": name, "source": source, **more})


def new_logged_model(save: str = "model", *, name: str = "lm", exp: str = "exp", **more: object) -> Call:
    """Creates a logged model; ``{model}`` is its id."""
    body = {"experiment_id": f"{{{exp}}}", "name": name, **more}
    return post("logged-models", body, save={save: "model.info.model_id"})
