"""Data with everything that a search can trip over."""

from __future__ import annotations

import math

import sqlalchemy
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelParameter,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.dbmodels.models import SqlInput, SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

TEXTS = (
    "plain", "PLAIN", "Plain", "", "a%b", "a_b", "axb", "a*b", "a?b", "a[b]c", "back\\slash", "back\\\\slash",
    "it's", 'say "hi"', "`tick`", "ünï", "ÜNÏ", "日本", " lead", "new\nline", "100%", "[x]", "^", "-", "a]b",
)  # fmt: skip
NUMBERS = (0.0, 1.0, -1.5, 1e308, -1e308, math.nan, math.inf, -math.inf, 0.1, 2.0**53)
RUN_IDS = tuple(f"{index:032x}" for index in range(len(TEXTS) + 9))


def fill(tracking: TrackingStore, registry: RegistryStore) -> None:
    """The same rows in every database."""
    experiments = [tracking.create_experiment(name) for name in ("first", "FIRST", "a_b", "ünï 100%")]
    for index, experiment in enumerate(experiments):
        tracking.set_experiment_tag(experiment, ExperimentTag("kind", TEXTS[index]))
        tracking.set_experiment_tag(experiment, ExperimentTag("dotted.key", "x"))
    tracking.set_experiment_tag(experiments[0], ExperimentTag("only", "Here"))
    with tracking.engine.begin() as connection:
        for name, created in (("first", 10), ("FIRST", 10), ("a_b", None), ("ünï 100%", 5)):
            connection.execute(
                sqlalchemy.text(
                    "UPDATE experiments SET creation_time = :at, last_update_time = :at WHERE name = :name"
                ),
                {"at": created, "name": name},
            )
    _fill_runs(tracking, experiments)
    tracking.delete_experiment(experiments[2])
    _fill_logged_models(tracking, experiments)
    _fill_registry(registry)


def _fill_runs(tracking: TrackingStore, experiments: list[str]) -> None:
    minted = iter(RUN_IDS)
    statuses = (RunStatus.RUNNING, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED, RunStatus.SCHEDULED)
    for index, run_id in enumerate(minted):
        text, number = TEXTS[index % len(TEXTS)], NUMBERS[index % len(NUMBERS)]
        run = tracking.create_run(experiments[index % 2], "user" + text, 1000 + index % 4, [], text or "unnamed")
        made = run.info.run_id
        if index % 3:
            end = 2000 + index % 5 if index % 2 else None
            tracking.update_run_info(made, statuses[index % 5], end, None)
        metrics = [Metric("m", number, 1, 0)] if index % 4 else []
        metrics += [Metric("created", float(index), 1, 0), Metric("a b.c", -number, 1, 0)]
        params = [Param("p", text), Param("start_time", "alias")] if index % 5 else []
        tags = [RunTag("t", text), RunTag("with space", "x" * (index % 3))] if index % 3 else []
        tracking.log_batch(made, metrics, params, tags)
        if index % 4 == 1:
            datasets = [
                DatasetInput(
                    Dataset(f"data{part}", f"digest{index % 3}", "local", "somewhere"),
                    [InputTag("mlflow.data.context", "Train" if part else "eval"), InputTag("other", "Train")],
                )
                for part in range(index % 3)
            ]
            tracking.log_inputs(made, datasets)
        _rename_run(tracking, made, run_id)
        if index % 7 == 3:
            tracking.delete_run(run_id)
    with tracking.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE tags SET value = NULL WHERE key = 't' AND value = 'PLAIN'"))
        connection.execute(
            sqlalchemy.text("UPDATE runs SET name = NULL, artifact_uri = NULL WHERE name IN ('Plain', 'a_b')")
        )


def _rename_run(tracking: TrackingStore, old: str, new: str) -> None:
    """Gives a run a known id, so that ties are broken the same way in each database."""
    runs = SqlRun.__table__
    others = [column for column in runs.columns if column.name != "run_uuid"]
    copy = sqlalchemy.select(sqlalchemy.literal(new), *others).where(runs.c.run_uuid == old)
    with tracking.engine.begin() as connection:
        connection.execute(
            sqlalchemy.insert(SqlRun).from_select(["run_uuid", *(column.name for column in others)], copy)
        )
        for model in (SqlLatestMetric, SqlMetric, SqlParam, SqlTag):
            connection.execute(sqlalchemy.update(model).where(model.run_uuid == old).values(run_uuid=new))
        connection.execute(sqlalchemy.update(SqlInput).where(SqlInput.destination_id == old).values(destination_id=new))
        connection.execute(sqlalchemy.delete(SqlRun).where(SqlRun.run_uuid == old))


def _fill_logged_models(tracking: TrackingStore, experiments: list[str]) -> None:
    for index, text in enumerate(text for text in TEXTS if "\n" not in text):
        name = "".join(character for character in text if character not in "/:.%\"'") or "empty"
        model = tracking.create_logged_model(
            experiments[index % 2],
            name,
            RUN_IDS[index] if index % 3 else None,
            [LoggedModelTag("t", text)] if index % 2 else [],
            [LoggedModelParameter("p", text)] if index % 4 else [],
            text if index % 5 else None,
        )
        run_id = RUN_IDS[(index // 7) * 7]
        for step in range(index % 4):
            number = NUMBERS[(index + step) % len(NUMBERS)]
            dataset = {"dataset_name": f"data{step % 2}", "dataset_digest": f"digest{index % 2}"} if step else {}
            metric = Metric("m", number, 10 + step // 2, step % 2, model_id=model.model_id, run_id=run_id, **dataset)
            tracking.log_batch(run_id, [metric], [], [])
        if index % 6 == 5:
            tracking.delete_logged_model(model.model_id)
    with tracking.engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "UPDATE logged_models SET creation_timestamp_ms = 100 + status, last_updated_timestamp_ms = 7"
            )
        )


def _fill_registry(registry: RegistryStore) -> None:
    for index, text in enumerate(text for text in TEXTS if text and "/" not in text and ":" not in text):
        tags = [RegisteredModelTag("t", text), RegisteredModelTag("n", str(index % 3))] if index % 3 else []
        if index % 5 == 4:
            tags.append(RegisteredModelTag("mlflow.prompt.is_prompt", "true" if index % 2 else "false"))
        registry.create_registered_model(text, tags)
        for version in range(index % 4):
            version_tags = [ModelVersionTag("t", text), ModelVersionTag("v", str(version))] if version else []
            if index % 5 == 4 and version == 1:
                version_tags.append(ModelVersionTag("mlflow.prompt.is_prompt", "true"))
            registry.create_model_version(text, f"source/{text}", RUN_IDS[index] if index % 2 else None, version_tags)
        if index % 4 == 3:
            registry.delete_model_version(text, 2)
    with registry.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE registered_models SET last_updated_time = 5 WHERE name LIKE 'a%'"))
        connection.execute(sqlalchemy.text("UPDATE registered_models SET last_updated_time = NULL WHERE name = '-'"))
        connection.execute(
            sqlalchemy.text("UPDATE model_versions SET creation_time = version, last_updated_time = version % 2")
        )
        connection.execute(sqlalchemy.text("UPDATE model_versions SET source = NULL WHERE version = 3"))
