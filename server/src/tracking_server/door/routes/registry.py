"""The model registry: registered models, their versions, tags and aliases. Prompts are registered models too."""

from tracking_server.api import model_versions, registered_models
from tracking_server.door.route import Action, Policy, Resource, Route, rest

MODEL_VERSION_READ = Policy(Resource.MODEL_VERSION, Action.READ)
MODEL_VERSION_SEARCH = Policy(Resource.MODEL_VERSION, Action.SEARCH)
MODEL_VERSION_CREATE = Policy(Resource.MODEL_VERSION, Action.CREATE)
MODEL_VERSION_UPDATE = Policy(Resource.MODEL_VERSION, Action.UPDATE)
MODEL_VERSION_DELETE = Policy(Resource.MODEL_VERSION, Action.DELETE)
REGISTERED_MODEL_READ = Policy(Resource.REGISTERED_MODEL, Action.READ)
REGISTERED_MODEL_SEARCH = Policy(Resource.REGISTERED_MODEL, Action.SEARCH)
REGISTERED_MODEL_CREATE = Policy(Resource.REGISTERED_MODEL, Action.CREATE)
REGISTERED_MODEL_UPDATE = Policy(Resource.REGISTERED_MODEL, Action.UPDATE)
REGISTERED_MODEL_DELETE = Policy(Resource.REGISTERED_MODEL, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route(
        "registered-models.create",
        ("POST",),
        rest("registered-models/create"),
        REGISTERED_MODEL_CREATE,
        registered_models.create,
    ),
    Route(
        "registered-models.get", ("GET",), rest("registered-models/get"), REGISTERED_MODEL_READ, registered_models.get
    ),
    Route(
        "registered-models.search",
        ("GET",),
        rest("registered-models/search"),
        REGISTERED_MODEL_SEARCH,
        registered_models.search,
    ),
    Route(
        "registered-models.rename",
        ("POST",),
        rest("registered-models/rename"),
        REGISTERED_MODEL_UPDATE,
        registered_models.rename,
    ),
    Route(
        "registered-models.update",
        ("PATCH",),
        rest("registered-models/update"),
        REGISTERED_MODEL_UPDATE,
        registered_models.update,
    ),
    Route(
        "registered-models.delete",
        ("DELETE",),
        rest("registered-models/delete"),
        REGISTERED_MODEL_DELETE,
        registered_models.delete,
    ),
    Route(
        "registered-models.get-latest-versions",
        ("GET", "POST"),
        rest("registered-models/get-latest-versions"),
        REGISTERED_MODEL_READ,
        registered_models.get_latest_versions,
    ),
    Route(
        "registered-models.set-tag",
        ("POST",),
        rest("registered-models/set-tag"),
        REGISTERED_MODEL_UPDATE,
        registered_models.set_tag,
    ),
    Route(
        "registered-models.delete-tag",
        ("DELETE",),
        rest("registered-models/delete-tag"),
        REGISTERED_MODEL_UPDATE,
        registered_models.delete_tag,
    ),
    Route(
        "registered-models.set-alias",
        ("POST",),
        rest("registered-models/alias"),
        REGISTERED_MODEL_UPDATE,
        registered_models.set_alias,
    ),
    Route(
        "registered-models.delete-alias",
        ("DELETE",),
        rest("registered-models/alias"),
        REGISTERED_MODEL_UPDATE,
        registered_models.delete_alias,
    ),
    Route(
        "model-versions.get-by-alias",
        ("GET",),
        rest("registered-models/alias"),
        MODEL_VERSION_READ,
        registered_models.get_version_by_alias,
    ),
    Route(
        "model-versions.create", ("POST",), rest("model-versions/create"), MODEL_VERSION_CREATE, model_versions.create
    ),
    Route("model-versions.get", ("GET",), rest("model-versions/get"), MODEL_VERSION_READ, model_versions.get),
    Route(
        "model-versions.search", ("GET",), rest("model-versions/search"), MODEL_VERSION_SEARCH, model_versions.search
    ),
    Route(
        "model-versions.update", ("PATCH",), rest("model-versions/update"), MODEL_VERSION_UPDATE, model_versions.update
    ),
    Route(
        "model-versions.delete", ("DELETE",), rest("model-versions/delete"), MODEL_VERSION_DELETE, model_versions.delete
    ),
    Route(
        "model-versions.transition-stage",
        ("POST",),
        rest("model-versions/transition-stage"),
        MODEL_VERSION_UPDATE,
        model_versions.transition_stage,
    ),
    Route(
        "model-versions.get-download-uri",
        ("GET",),
        rest("model-versions/get-download-uri"),
        MODEL_VERSION_READ,
        model_versions.get_download_uri,
    ),
    Route(
        "model-versions.set-tag",
        ("POST",),
        rest("model-versions/set-tag"),
        MODEL_VERSION_UPDATE,
        model_versions.set_tag,
    ),
    Route(
        "model-versions.delete-tag",
        ("DELETE",),
        rest("model-versions/delete-tag"),
        MODEL_VERSION_UPDATE,
        model_versions.delete_tag,
    ),
)
