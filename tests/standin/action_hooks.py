"""The hook tools of actions."""

from __future__ import annotations

import re

from tests.standin.arguments import Arguments, ToolError
from tests.standin.hook_base import HookBase
from tests.standin.model import Action

_RESULT_KEY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class ActionHooks(HookBase):
    def tool_action_get(self, arguments: Arguments, stdin: str) -> object:
        parameters = self._running().parameters
        return parameters.get(arguments.positional[0]) if arguments.positional else parameters

    def tool_action_set(self, arguments: Arguments, stdin: str) -> None:
        results = dict(pair.split("=", 1) for pair in arguments.positional)
        for key in results:
            if not _RESULT_KEY.fullmatch(key):
                message = "must start and end with lowercase alphanumeric, and contain only those, hyphens and periods"
                raise ToolError(f'key "{key}" {message}')
        self._running().results.update(results)

    def tool_action_log(self, arguments: Arguments, stdin: str) -> None:
        self._running().log.append(" ".join(arguments.positional))

    def tool_action_fail(self, arguments: Arguments, stdin: str) -> None:
        self._running().failure = " ".join(arguments.positional) or "action failed without reason given, check action"

    def _running(self) -> Action:
        if self.action is None:
            raise ToolError("not running an action")
        return self.action
