"""Artifacts, whoever owns them: the proxy in front of the store, and the UI's download routes."""

from tracking_server.api import artifact_proxy, artifacts
from tracking_server.door.route import Action, Policy, Resource, Route, Stack, ajax, rest


def _proxy(path: str) -> tuple[str, str]:
    return (f"/api/2.0/mlflow-artifacts/{path}", f"/ajax-api/2.0/mlflow-artifacts/{path}")


READ = Policy(Resource.ARTIFACT, Action.READ)
CREATE = Policy(Resource.ARTIFACT, Action.CREATE)
DELETE = Policy(Resource.ARTIFACT, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    # The proxy: a path below the artifact root names the artifact.
    Route(
        "artifacts.proxy-download",
        ("GET",),
        _proxy("artifacts/{artifact_path:path}"),
        READ,
        stack=Stack.BOTH,
        handler=artifact_proxy.download_artifact,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-upload",
        ("PUT",),
        _proxy("artifacts/{artifact_path:path}"),
        CREATE,
        stack=Stack.BOTH,
        handler=artifact_proxy.upload_artifact,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-list",
        ("GET",),
        _proxy("artifacts"),
        READ,
        handler=artifact_proxy.list_artifacts,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-delete",
        ("DELETE",),
        _proxy("artifacts/{artifact_path:path}"),
        DELETE,
        handler=artifact_proxy.delete_artifact,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-multipart-create",
        ("POST",),
        _proxy("mpu/create/{artifact_path:path}"),
        CREATE,
        handler=artifact_proxy.create_multipart_upload,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-multipart-complete",
        ("POST",),
        _proxy("mpu/complete/{artifact_path:path}"),
        CREATE,
        handler=artifact_proxy.complete_multipart_upload,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-multipart-abort",
        ("POST",),
        _proxy("mpu/abort/{artifact_path:path}"),
        CREATE,
        handler=artifact_proxy.abort_multipart_upload,
        uses_database=False,
    ),
    Route(
        "artifacts.proxy-presigned-download",
        ("GET",),
        _proxy("presigned/{artifact_path:path}"),
        READ,
        handler=artifact_proxy.presigned_download_url,
        uses_database=False,
    ),
    # A run, a logged model, a model version or a trace names the artifact.
    Route("artifacts.list", ("GET",), rest("artifacts/list"), READ, handler=artifacts.list_artifacts),
    Route("artifacts.get", ("GET",), ("/get-artifact",), READ, handler=artifacts.get_artifact),
    Route("artifacts.upload", ("POST",), ajax("upload-artifact"), CREATE, handler=artifacts.upload_artifact),
    Route("artifacts.presigned-upload", ("POST",), rest("artifacts/presigned-upload-url"), CREATE),
    Route("artifacts.presigned-download", ("POST",), rest("artifacts/presigned-download-url"), READ),
    Route(
        "artifacts.list-logged-model",
        ("GET",),
        rest("logged-models/{model_id}/artifacts/directories"),
        READ,
        handler=artifacts.list_logged_model_artifacts,
    ),
    Route(
        "artifacts.get-logged-model",
        ("GET",),
        ajax("logged-models/{model_id}/artifacts/files"),
        READ,
        handler=artifacts.get_logged_model_artifact,
    ),
    Route(
        "artifacts.get-model-version",
        ("GET",),
        ("/model-versions/get-artifact",),
        READ,
        handler=artifacts.get_model_version_artifact,
    ),
    Route("artifacts.get-trace", ("GET",), (*ajax("get-trace-artifact"), *ajax("get-trace-artifact", "3.0")), READ),
)
