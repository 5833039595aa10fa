"""Jobs that stock runs in the background."""

from tracking_server.door.route import Action, Policy, Resource, Route, Stack, ajax

READ = Policy(Resource.JOB, Action.READ)
SEARCH = Policy(Resource.JOB, Action.SEARCH)
UPDATE = Policy(Resource.JOB, Action.UPDATE)
EXECUTE = Policy(Resource.JOB, Action.EXECUTE)

ROUTES: tuple[Route, ...] = (
    Route("jobs.submit", ("POST",), ("/ajax-api/3.0/jobs/",), EXECUTE, stack=Stack.FASTAPI, needs_jobs=True),
    Route("jobs.get", ("GET",), ("/ajax-api/3.0/jobs/{job_id}",), READ, stack=Stack.FASTAPI),
    Route("jobs.search", ("POST",), ("/ajax-api/3.0/jobs/search",), SEARCH, stack=Stack.FASTAPI),
    Route("jobs.cancel", ("PATCH",), ("/ajax-api/3.0/jobs/cancel/{job_id}",), UPDATE, stack=Stack.FASTAPI),
    # The same two operations as the UI calls them.
    Route("jobs.get-ui", ("GET",), ajax("jobs/{job_id}", "3.0"), READ),
    Route("jobs.cancel-ui", ("PATCH",), ajax("jobs/cancel/{job_id}", "3.0"), UPDATE),
)
