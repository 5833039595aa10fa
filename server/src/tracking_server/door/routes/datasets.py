"""Evaluation datasets: their records, tags and experiments."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

READ = Policy(Resource.DATASET, Action.READ)
SEARCH = Policy(Resource.DATASET, Action.SEARCH)
CREATE = Policy(Resource.DATASET, Action.CREATE)
UPDATE = Policy(Resource.DATASET, Action.UPDATE)
DELETE = Policy(Resource.DATASET, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("datasets.create", ("POST",), rest("datasets/create", "3.0"), CREATE),
    Route("datasets.get", ("GET",), rest("datasets/{dataset_id}", "3.0"), READ),
    Route("datasets.search", ("GET", "POST"), rest("datasets/search", "3.0"), SEARCH),
    Route("datasets.delete", ("DELETE",), rest("datasets/{dataset_id}", "3.0"), DELETE),
    Route("datasets.set-tags", ("PATCH",), rest("datasets/{dataset_id}/tags", "3.0"), UPDATE),
    Route("datasets.delete-tag", ("DELETE",), rest("datasets/{dataset_id}/tags/{key}", "3.0"), UPDATE),
    Route("datasets.get-records", ("GET",), rest("datasets/{dataset_id}/records", "3.0"), READ),
    Route("datasets.upsert-records", ("POST",), rest("datasets/{dataset_id}/records", "3.0"), UPDATE),
    Route("datasets.delete-records", ("DELETE",), rest("datasets/{dataset_id}/records", "3.0"), UPDATE),
    Route("datasets.get-experiment-ids", ("GET",), rest("datasets/{dataset_id}/experiment-ids", "3.0"), READ),
    Route("datasets.add-experiments", ("POST",), rest("datasets/{dataset_id}/add-experiments", "3.0"), UPDATE),
    Route("datasets.remove-experiments", ("POST",), rest("datasets/{dataset_id}/remove-experiments", "3.0"), UPDATE),
)
