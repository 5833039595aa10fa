"""What stock MLflow answers behind the server: traces, prompts, evaluation datasets, the gateway, GraphQL."""

from __future__ import annotations

import mlflow
import mlflow.genai.datasets
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import SpanType
from mlflow.exceptions import MlflowException

from support.processes import ServerProcess


def test_traces_are_written_found_and_judged(experiment_id: str) -> None:
    @mlflow.trace(span_type=SpanType.RETRIEVER)
    def retrieve(question: str) -> list[str]:
        return [f"about {question}"]

    @mlflow.trace(name="answer", span_type=SpanType.CHAIN, attributes={"version": 2})
    def answer(question: str) -> str:
        mlflow.update_current_trace(tags={"user": "ü"})
        if not question:
            raise ValueError("nothing asked")
        return retrieve(question)[0]

    assert answer("iris") == "about iris"
    with pytest.raises(ValueError, match="nothing asked"):
        answer("")
    mlflow.flush_trace_async_logging()

    found = mlflow.search_traces(locations=[experiment_id], return_type="list")
    assert [str(trace.info.state.value) for trace in found] == ["ERROR", "OK"]
    (good,) = mlflow.search_traces(
        locations=[experiment_id],
        filter_string="trace.status = 'OK' AND tags.user = 'ü' AND trace.name = 'answer'",
        return_type="list",
    )
    trace = mlflow.get_trace(good.info.trace_id)
    assert trace is not None
    assert [(span.name, span.span_type) for span in trace.data.spans] == [
        ("answer", "CHAIN"),
        ("retrieve", "RETRIEVER"),
    ]
    assert trace.data.spans[0].attributes["version"] == 2
    assert trace.data.spans[1].inputs == {"question": "iris"}
    assert trace.data.spans[1].parent_id == trace.data.spans[0].span_id

    mlflow.log_feedback(trace_id=good.info.trace_id, name="right", value=True, rationale="checked")
    mlflow.set_trace_tag(good.info.trace_id, "seen", "yes")
    judged = mlflow.get_trace(good.info.trace_id)
    assert judged is not None
    assert [(each.name, each.value) for each in judged.info.assessments] == [("right", True)]
    assert judged.info.tags["seen"] == "yes"
    assert MlflowClient().delete_traces(experiment_id, trace_ids=[good.info.trace_id]) == 1
    left = mlflow.search_traces(locations=[experiment_id], return_type="list")
    assert [trace.info.trace_id for trace in left] == [found[0].info.trace_id]


def test_prompts_are_versioned(experiment_id: str) -> None:
    name = f"greeting-{experiment_id}"
    mlflow.genai.register_prompt(name, "Hello {{name}}", commit_message="first", tags={"tone": "warm"})
    second = mlflow.genai.register_prompt(name, [{"role": "user", "content": "Good day {{name}}"}])
    mlflow.genai.set_prompt_alias(name, "live", second.version)
    first = mlflow.genai.load_prompt(f"prompts:/{name}/1")
    assert first.format(name="Ada") == "Hello Ada"
    assert (first.commit_message, first.tags) == ("first", {"tone": "warm"})
    live = mlflow.genai.load_prompt(f"prompts:/{name}@live")
    assert live.format(name="Ada") == [{"role": "user", "content": "Good day Ada"}]
    assert [each.name for each in mlflow.genai.search_prompts(f"name = '{name}'")] == [name]
    # A prompt is a registered model, which lists of models leave out.
    assert MlflowClient().search_registered_models(f"name = '{name}'") == []
    mlflow.genai.delete_prompt_alias(name, "live")
    with pytest.raises(MlflowException, match=r"not found"):
        mlflow.genai.load_prompt(f"prompts:/{name}@live")


def test_an_evaluation_dataset_is_kept(experiment_id: str) -> None:
    made = mlflow.genai.datasets.create_dataset(
        name=f"questions {experiment_id}", experiment_id=experiment_id, tags={"team": "blue"}
    )
    made.merge_records(
        [
            {"inputs": {"question": "1+1"}, "expectations": {"answer": "2"}},
            {"inputs": {"question": "2+2"}, "expectations": {"answer": "4"}},
        ]
    )
    found = mlflow.genai.datasets.get_dataset(dataset_id=made.dataset_id)
    assert sorted(record["inputs"]["question"] for record in found.to_df().to_dict("records")) == ["1+1", "2+2"]
    searched = mlflow.genai.datasets.search_datasets(experiment_ids=experiment_id)
    assert [(each.dataset_id, (each.tags or {}).get("team")) for each in searched] == [(made.dataset_id, "blue")]


def test_the_gateway_is_configured(server: ServerProcess, experiment_id: str) -> None:
    gateway = f"{server.url}/api/3.0/mlflow/gateway"
    made = requests.post(
        f"{gateway}/secrets/create",
        json={"secret_name": f"key {experiment_id}", "secret_value": {"api_key": "sk-1"}, "provider": "openai"},
        timeout=60,
    )
    assert made.status_code == 200, made.text
    listed = requests.get(f"{gateway}/secrets/list", timeout=60).json()["secrets"]
    assert f"key {experiment_id}" in [each["secret_name"] for each in listed]
    assert requests.get(f"{gateway}/endpoints/list", timeout=60).json() == {}
    assert requests.get(f"{server.url}/gateway/mlflow/v1/models", timeout=60).json()["data"] == []


def test_graphql_and_the_version_answer(server: ServerProcess, experiment_id: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1.5)
    query = "query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { data { metrics { value }}}}}"
    answer = requests.post(
        f"{server.url}/graphql",
        json={"operationName": "GetRun", "query": query, "variables": {"data": {"runId": run.info.run_id}}},
        timeout=60,
    )
    assert answer.json()["data"]["mlflowGetRun"]["run"]["data"] == {"metrics": [{"value": 1.5}]}
    version = requests.get(f"{server.url}/version", timeout=60)
    assert (version.status_code, version.text) == (200, mlflow.__version__)
