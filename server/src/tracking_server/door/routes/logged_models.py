"""Logged models; the content of their artifacts stands in artifacts.py."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

READ = Policy(Resource.LOGGED_MODEL, Action.READ)
SEARCH = Policy(Resource.LOGGED_MODEL, Action.SEARCH)
CREATE = Policy(Resource.LOGGED_MODEL, Action.CREATE)
UPDATE = Policy(Resource.LOGGED_MODEL, Action.UPDATE)
DELETE = Policy(Resource.LOGGED_MODEL, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("logged-models.create", ("POST",), rest("logged-models"), CREATE),
    Route("logged-models.get", ("GET",), rest("logged-models/{model_id}"), READ),
    Route("logged-models.search", ("POST",), rest("logged-models/search"), SEARCH),
    Route("logged-models.finalize", ("PATCH",), rest("logged-models/{model_id}"), UPDATE),
    Route("logged-models.delete", ("DELETE",), rest("logged-models/{model_id}"), DELETE),
    Route("logged-models.set-tags", ("PATCH",), rest("logged-models/{model_id}/tags"), UPDATE),
    Route("logged-models.delete-tag", ("DELETE",), rest("logged-models/{model_id}/tags/{tag_key}"), UPDATE),
    Route("logged-models.log-params", ("POST",), rest("logged-models/{model_id}/params"), UPDATE),
)
