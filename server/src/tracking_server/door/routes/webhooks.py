"""Webhooks: they make the server call out, with secrets, so all of them are an administrator's."""

from tracking_server.door.route import Action, Policy, Resource, Route, rest

ADMINISTER = Policy(Resource.WEBHOOK, Action.ADMINISTER)

ROUTES: tuple[Route, ...] = (
    Route("webhooks.create", ("POST",), rest("webhooks"), ADMINISTER),
    Route("webhooks.list", ("GET",), rest("webhooks"), ADMINISTER),
    Route("webhooks.get", ("GET",), rest("webhooks/{webhook_id}"), ADMINISTER),
    Route("webhooks.update", ("PATCH",), rest("webhooks/{webhook_id}"), ADMINISTER),
    Route("webhooks.delete", ("DELETE",), rest("webhooks/{webhook_id}"), ADMINISTER),
    Route("webhooks.test", ("POST",), rest("webhooks/{webhook_id}/test"), ADMINISTER),
)
