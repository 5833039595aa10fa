"""Traces, with their tags and assessments; v2 is the protocol of older clients."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, rest

READ = Policy(Resource.TRACE, Action.READ)
SEARCH = Policy(Resource.TRACE, Action.SEARCH)
CREATE = Policy(Resource.TRACE, Action.CREATE)
UPDATE = Policy(Resource.TRACE, Action.UPDATE)
DELETE = Policy(Resource.TRACE, Action.DELETE)

ROUTES: tuple[Route, ...] = (
    Route("traces.export-otlp", ("POST",), ("/v1/traces",), CREATE, stack=Stack.FASTAPI),
    Route("traces.start", ("POST",), rest("traces", "3.0"), CREATE),
    Route("traces.get", ("GET",), rest("traces/get", "3.0"), READ),
    Route("traces.get-info", ("GET",), rest("traces/{trace_id}", "3.0"), READ),
    Route("traces.batch-get", ("GET",), rest("traces/batchGet", "3.0"), READ),
    Route("traces.batch-get-infos", ("POST",), rest("traces/batchGetInfos", "3.0"), READ),
    Route("traces.search", ("POST",), rest("traces/search", "3.0"), SEARCH),
    Route("traces.delete", ("POST",), (*rest("traces/delete-traces"), *rest("traces/delete-traces", "3.0")), DELETE),
    Route("traces.set-tag", ("PATCH",), rest("traces/{trace_id}/tags", "3.0"), UPDATE),
    Route("traces.delete-tag", ("DELETE",), rest("traces/{trace_id}/tags", "3.0"), UPDATE),
    Route("traces.link-to-run", ("POST",), rest("traces/link-to-run"), UPDATE),
    Route("traces.link-prompts", ("POST",), rest("traces/link-prompts"), UPDATE),
    Route("traces.calculate-filter-correlation", ("POST",), rest("traces/calculate-filter-correlation", "3.0"), SEARCH),
    Route("traces.query-metrics", ("POST",), rest("traces/metrics", "3.0"), SEARCH),
    Route("traces.create-assessment", ("POST",), rest("traces/{trace_id}/assessments", "3.0"), UPDATE),
    Route("traces.get-assessment", ("GET",), rest("traces/{trace_id}/assessments/{assessment_id}", "3.0"), READ),
    Route("traces.update-assessment", ("PATCH",), rest("traces/{trace_id}/assessments/{assessment_id}", "3.0"), UPDATE),
    Route(
        "traces.delete-assessment", ("DELETE",), rest("traces/{trace_id}/assessments/{assessment_id}", "3.0"), UPDATE
    ),
    Route("traces.start-v2", ("POST",), rest("traces"), CREATE),
    Route("traces.end-v2", ("PATCH",), rest("traces/{request_id}"), UPDATE),
    Route("traces.get-info-v2", ("GET",), rest("traces/{request_id}/info"), READ),
    Route("traces.search-v2", ("GET",), rest("traces"), SEARCH),
    Route("traces.set-tag-v2", ("PATCH",), rest("traces/{request_id}/tags"), UPDATE),
    Route("traces.delete-tag-v2", ("DELETE",), rest("traces/{request_id}/tags"), UPDATE),
    # RPCs that stock registers but does not implement: it answers 404.
    Route("traces.search-unified", ("GET",), rest("unified-traces"), SEARCH),
    Route("traces.get-online-details", ("GET",), rest("get-online-trace-details"), READ),
)
