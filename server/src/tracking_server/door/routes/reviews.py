"""People's reviews: queues of items, and the schemas of their labels."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

LABEL_SCHEMA_READ = Policy(Resource.LABEL_SCHEMA, Action.READ)
LABEL_SCHEMA_SEARCH = Policy(Resource.LABEL_SCHEMA, Action.SEARCH)
LABEL_SCHEMA_CREATE = Policy(Resource.LABEL_SCHEMA, Action.CREATE)
LABEL_SCHEMA_UPDATE = Policy(Resource.LABEL_SCHEMA, Action.UPDATE)
LABEL_SCHEMA_DELETE = Policy(Resource.LABEL_SCHEMA, Action.DELETE)
REVIEW_READ = Policy(Resource.REVIEW, Action.READ)
REVIEW_SEARCH = Policy(Resource.REVIEW, Action.SEARCH)
REVIEW_CREATE = Policy(Resource.REVIEW, Action.CREATE)
REVIEW_UPDATE = Policy(Resource.REVIEW, Action.UPDATE)
REVIEW_DELETE = Policy(Resource.REVIEW, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("review-queues.create", ("POST",), rest("review-queues/create", "3.0"), REVIEW_CREATE),
    Route(
        "review-queues.get-or-create-user", ("POST",), rest("review-queues/get-or-create-user", "3.0"), REVIEW_CREATE
    ),
    Route("review-queues.get", ("GET",), rest("review-queues/get", "3.0"), REVIEW_READ),
    Route("review-queues.get-by-name", ("GET",), rest("review-queues/get-by-name", "3.0"), REVIEW_READ),
    Route("review-queues.list", ("GET",), rest("review-queues/list", "3.0"), REVIEW_SEARCH),
    Route("review-queues.update", ("POST",), rest("review-queues/update", "3.0"), REVIEW_UPDATE),
    Route("review-queues.delete", ("POST",), rest("review-queues/delete", "3.0"), REVIEW_DELETE),
    Route("review-queues.add-items", ("POST",), rest("review-queues/items/add", "3.0"), REVIEW_UPDATE),
    Route("review-queues.remove-items", ("POST",), rest("review-queues/items/remove", "3.0"), REVIEW_UPDATE),
    Route("review-queues.list-items", ("GET",), rest("review-queues/items/list", "3.0"), REVIEW_READ),
    Route("review-queues.set-item-status", ("POST",), rest("review-queues/items/set-status", "3.0"), REVIEW_UPDATE),
    Route("label-schemas.create", ("POST",), rest("label-schemas/create", "3.0"), LABEL_SCHEMA_CREATE),
    Route("label-schemas.get", ("GET",), rest("label-schemas/get", "3.0"), LABEL_SCHEMA_READ),
    Route("label-schemas.get-by-name", ("GET",), rest("label-schemas/get-by-name", "3.0"), LABEL_SCHEMA_READ),
    Route("label-schemas.list", ("GET",), rest("label-schemas/list", "3.0"), LABEL_SCHEMA_SEARCH),
    Route("label-schemas.update", ("PATCH",), rest("label-schemas/update", "3.0"), LABEL_SCHEMA_UPDATE),
    Route("label-schemas.delete", ("DELETE",), rest("label-schemas/delete", "3.0"), LABEL_SCHEMA_DELETE),
)
