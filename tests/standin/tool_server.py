"""Where hook tools reach the unit agent: a port that answers for the hook that runs."""

from __future__ import annotations

import shutil
import socketserver
import threading
from pathlib import Path
from typing import cast

from tests.standin.arguments import ToolError
from tests.standin.hooks import Hook

TOOLS = (
    "action-fail action-get action-log action-set application-version-set close-port config-get credential-get "
    "goal-state is-leader juju-log network-get open-port opened-ports relation-get relation-ids relation-list "
    "relation-model-get relation-set resource-get secret-add secret-get secret-grant secret-ids secret-info-get "
    "secret-remove secret-revoke secret-set state-delete state-get state-set status-get status-set storage-add "
    "storage-get storage-list"
).split()


def write_tools(folder: Path) -> None:
    """Fills a folder for the charm's PATH with the hook tools."""
    folder.mkdir()
    program = folder / ".hook-tool"
    shutil.copyfile(Path(__file__).with_name("hook_tool.sh"), program)
    program.chmod(0o755)
    for name in TOOLS:
        (folder / name).symlink_to(program.name)


class ToolServer:
    """Listens on a free port of ``host`` until ``close``; ``hook`` is the hook that runs, or None between hooks."""

    def __init__(self, host: str) -> None:
        self.hook: Hook | None = None
        self.calls: list[tuple[str, ...]] = []
        """Each call of the hook that runs or ran last: the tool and its arguments."""
        self._server = _Server((host, 0), _Request)
        self._server.tools = self
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, tool: str, arguments: list[str], stdin: str) -> tuple[int, str]:
        """The tool's exit status, and what it prints: to stderr where that is not 0."""
        if self.hook is None:
            return 1, "ERROR no hook is running\n"
        self.calls.append((tool, *arguments))
        try:
            output = self.hook.run(tool, arguments, stdin)
        except ToolError as error:
            return 1, f"ERROR {error}\n"
        return 0, output

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.TCPServer):
    request_queue_size = 64
    tools: ToolServer


class _Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        count = int(self.rfile.readline())
        tool, *arguments, stdin = [self.rfile.read(int(self.rfile.readline())).decode() for _ in range(count)]
        code, output = cast(_Server, self.server).tools.answer(tool, arguments, stdin)
        self.wfile.write(f"{code}\n{output}".encode())
