"""Programs for wrk: requests written out once, in which each request fills in no more than a run's id and a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

RUN = "@RUN" + "@" * 28
"""Stands for a run's id, in a path or a body: as long as one, so that Content-Length holds."""

NUMBER = "@NUMBER@@"
"""Stands for a number of nine digits that grows with each request."""

FIRST_NUMBER = 100_000_000

# What the MLflow client sends: requests' own headers and a User-Agent.
_CLIENT = {
    "User-Agent": "mlflow-python-client/3.17.2",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
}

_PROGRAM = """
local method, path, headers, bodies = %(method)s, %(path)s, %(headers)s, %(bodies)s
local number, count, templates, runs = %(number)d, 0, {}, {}

local function split(text)
  local template = { pieces = {}, runs = {}, numbers = {} }
  local pieces, from = template.pieces, 1
  while true do
    local first, last, name = text:find("@(%%u+)@+", from)
    if not first then break end
    pieces[#pieces + 1] = text:sub(from, first - 1)
    pieces[#pieces + 1] = text:sub(first, last)
    local slots = name == "RUN" and template.runs or template.numbers
    slots[#slots + 1] = #pieces
    from = last + 1
  end
  pieces[#pieces + 1] = text:sub(from)
  return template
end

init = function()
  %(read_runs)s
  for i = 1, #bodies do
    templates[i] = split(wrk.format(method, path, headers, bodies[i] ~= "" and bodies[i] or nil))
  end
end

request = function()
  number = number + 1
  count = count + 1
  local template = templates[count %% #templates + 1]
  local pieces, run, digits = template.pieces, runs[count %% #runs + 1], tostring(number)
  for i = 1, #template.runs do pieces[template.runs[i]] = run end
  for i = 1, #template.numbers do pieces[template.numbers[i]] = digits end
  return #pieces == 1 and pieces[1] or table.concat(pieces)
end
"""
_READ_RUNS = """
  for run in io.lines(%(file)s) do
    if #runs < %(count)d then runs[#runs + 1] = run end
  end"""
_UPLOADS = """
local requests, count = {}, 0
init = function()
  local body = string.rep("artifact", %(size)d / 8)
  for i = 1, %(paths)d do
    requests[i] = wrk.format("PUT", %(path)s .. i, %(headers)s, body)
  end
end
request = function()
  count = count + 1
  return requests[count %% #requests + 1]
end
"""


@dataclass(frozen=True, slots=True)
class RunIds:
    """The first ``count`` lines of ``file``: the runs whose ids stand in for RUN, in turns.

    With ``per_client`` only so many runs for each client: as where each logs to its own.
    """

    file: Path
    count: int
    per_client: int | None = None

    def used_by(self, clients: int) -> int:
        return self.count if self.per_client is None else min(self.count, self.per_client * clients)

    def read(self, clients: int = 1_000_000) -> list[str]:
        return self.file.read_text().split()[: self.used_by(clients)]


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a scenario. ``path`` and ``bodies``, which take turns, may hold RUN and NUMBER.

    Each client waits ``delay_ms`` before each, on average.
    """

    method: Literal["GET", "POST"]
    path: str
    bodies: Sequence[str] = ("",)
    runs: RunIds | None = None
    delay_ms: int = 0

    def headers(self) -> dict[str, str]:
        return _CLIENT | ({"Content-Type": "application/json"} if self.method == "POST" else {})

    def program(self, number: int, clients: int) -> str:
        """Lua for so many clients, whose numbers come after ``number``."""
        read_runs = ""
        if self.runs is not None:
            read_runs = _READ_RUNS % {"file": lua_text(str(self.runs.file)), "count": self.runs.used_by(clients)}
        program = _PROGRAM % {
            "method": lua_text(self.method),
            "path": lua_text(self.path),
            "headers": lua_table(self.headers()),
            "bodies": "{" + ",".join(map(lua_text, self.bodies)) + "}",
            "number": number,
            "read_runs": read_runs,
        }
        return program + _delay(self.delay_ms)

    def sample(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path, headers and body of one request, for its first run."""
        values = {NUMBER: str(FIRST_NUMBER)} | ({RUN: self.runs.read()[0]} if self.runs is not None else {})
        path, body = self.path, self.bodies[0]
        for marker, value in values.items():
            path, body = path.replace(marker, value), body.replace(marker, value)
        return self.method, path, self.headers(), body.encode()


@dataclass(frozen=True, slots=True)
class Uploads:
    """PUTs of ``size`` bytes to ``paths`` paths, PATH1, PATH2 and so on in turns."""

    path: str
    size: int
    paths: int = 64
    method: str = field(default="PUT", init=False)

    def program(self, number: int, clients: int) -> str:
        """Lua; the requests are the same whatever ``number`` and ``clients``."""
        return _UPLOADS % {
            "size": self.size,
            "paths": self.paths,
            "path": lua_text(self.path),
            "headers": lua_table(_CLIENT | {"Content-Type": "application/octet-stream"}),
        }

    def sample(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path, headers and body of one request."""
        return (
            "PUT",
            f"{self.path}1",
            _CLIENT | {"Content-Type": "application/octet-stream"},
            b"artifact" * (self.size // 8),
        )


def lua_text(value: str) -> str:
    """``value`` as a long string of Lua."""
    level = next(level for level in ("", "=", "==", "===") if f"]{level}]" not in f"{value}]")
    # Lua drops a line break that follows the opening bracket.
    return f"[{level}[\n{value}]{level}]" if value.startswith("\n") else f"[{level}[{value}]{level}]"


def lua_table(values: Mapping[str, str]) -> str:
    """``values`` as a table of Lua."""
    return "{" + ",".join(f"[ {lua_text(name)} ] = {lua_text(value)}" for name, value in values.items()) + "}"


def _delay(milliseconds: int) -> str:
    # Of varying length, for clients that have nothing to do with each other would not ask in step.
    shortest, longest = milliseconds // 2, milliseconds * 3 // 2
    return f"delay = function() return math.random({shortest}, {longest}) end\n" if milliseconds else ""
