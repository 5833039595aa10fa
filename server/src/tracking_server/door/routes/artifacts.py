"""Artifacts, whoever owns them: the proxy in front of the store, and the UI's download routes."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, ajax, rest


def _proxy(path: str) -> tuple[str, str]:
    return (f"/api/2.0/mlflow-artifacts/{path}", f"/ajax-api/2.0/mlflow-artifacts/{path}")


READ = Policy(Resource.ARTIFACT, Action.READ)
CREATE = Policy(Resource.ARTIFACT, Action.CREATE)
DELETE = Policy(Resource.ARTIFACT, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    # The proxy: a path below the artifact root names the artifact.
    Route("artifacts.proxy-download", ("GET",), _proxy("artifacts/{artifact_path:path}"), READ, stack=Stack.BOTH),
    Route("artifacts.proxy-upload", ("PUT",), _proxy("artifacts/{artifact_path:path}"), CREATE, stack=Stack.BOTH),
    Route("artifacts.proxy-list", ("GET",), _proxy("artifacts"), READ),
    Route("artifacts.proxy-delete", ("DELETE",), _proxy("artifacts/{artifact_path:path}"), DELETE),
    Route("artifacts.proxy-multipart-create", ("POST",), _proxy("mpu/create/{artifact_path:path}"), CREATE),
    Route("artifacts.proxy-multipart-complete", ("POST",), _proxy("mpu/complete/{artifact_path:path}"), CREATE),
    Route("artifacts.proxy-multipart-abort", ("POST",), _proxy("mpu/abort/{artifact_path:path}"), CREATE),
    Route("artifacts.proxy-presigned-download", ("GET",), _proxy("presigned/{artifact_path:path}"), READ),
    # A run, a logged model, a model version or a trace names the artifact.
    Route("artifacts.list", ("GET",), rest("artifacts/list"), READ),
    Route("artifacts.get", ("GET",), ("/get-artifact",), READ),
    Route("artifacts.upload", ("POST",), ajax("upload-artifact"), CREATE),
    Route("artifacts.presigned-upload", ("POST",), rest("artifacts/presigned-upload-url"), CREATE),
    Route("artifacts.presigned-download", ("POST",), rest("artifacts/presigned-download-url"), READ),
    Route("artifacts.list-logged-model", ("GET",), rest("logged-models/{model_id}/artifacts/directories"), READ),
    Route("artifacts.get-logged-model", ("GET",), ajax("logged-models/{model_id}/artifacts/files"), READ),
    Route("artifacts.get-model-version", ("GET",), ("/model-versions/get-artifact",), READ),
    Route("artifacts.get-trace", ("GET",), (*ajax("get-trace-artifact"), *ajax("get-trace-artifact", "3.0")), READ),
)
