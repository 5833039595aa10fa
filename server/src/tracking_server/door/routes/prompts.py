"""Prompt optimisation jobs; prompts themselves are registered models."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

READ = Policy(Resource.PROMPT_OPTIMIZATION, Action.READ)
SEARCH = Policy(Resource.PROMPT_OPTIMIZATION, Action.SEARCH)
UPDATE = Policy(Resource.PROMPT_OPTIMIZATION, Action.UPDATE)
DELETE = Policy(Resource.PROMPT_OPTIMIZATION, Action.DELETE)
EXECUTE = Policy(Resource.PROMPT_OPTIMIZATION, Action.EXECUTE)

ROUTES: tuple[Route, ...] = (
    Route("prompt-optimization.create", ("POST",), rest("prompt-optimization/jobs", "3.0"), EXECUTE, needs_jobs=True),
    Route("prompt-optimization.get", ("GET",), rest("prompt-optimization/jobs/{job_id}", "3.0"), READ),
    Route("prompt-optimization.search", ("GET", "POST"), rest("prompt-optimization/jobs/search", "3.0"), SEARCH),
    Route("prompt-optimization.cancel", ("POST",), rest("prompt-optimization/jobs/{job_id}/cancel", "3.0"), UPDATE),
    Route("prompt-optimization.delete", ("DELETE",), rest("prompt-optimization/jobs/{job_id}", "3.0"), DELETE),
)
