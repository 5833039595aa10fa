"""Logged models; the content of their artifacts stands in artifacts.py."""

from tracking_server.api import logged_models
from tracking_server.door.route import Action, Policy, Resource, Route, rest

READ = Policy(Resource.LOGGED_MODEL, Action.READ)
SEARCH = Policy(Resource.LOGGED_MODEL, Action.SEARCH)
CREATE = Policy(Resource.LOGGED_MODEL, Action.CREATE)
UPDATE = Policy(Resource.LOGGED_MODEL, Action.UPDATE)
DELETE = Policy(Resource.LOGGED_MODEL, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("logged-models.create", ("POST",), rest("logged-models"), CREATE, logged_models.create),
    Route("logged-models.get", ("GET",), rest("logged-models/{model_id}"), READ, logged_models.get),
    Route("logged-models.search", ("POST",), rest("logged-models/search"), SEARCH, logged_models.search),
    Route("logged-models.finalize", ("PATCH",), rest("logged-models/{model_id}"), UPDATE, logged_models.finalize),
    Route("logged-models.delete", ("DELETE",), rest("logged-models/{model_id}"), DELETE, logged_models.delete),
    Route("logged-models.set-tags", ("PATCH",), rest("logged-models/{model_id}/tags"), UPDATE, logged_models.set_tags),
    Route(
        "logged-models.delete-tag",
        ("DELETE",),
        rest("logged-models/{model_id}/tags/{tag_key}"),
        UPDATE,
        logged_models.delete_tag,
    ),
    Route(
        "logged-models.log-params", ("POST",), rest("logged-models/{model_id}/params"), UPDATE, logged_models.log_params
    ),
)
