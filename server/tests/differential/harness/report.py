"""Shows a failed comparison to a person: the step, the request, both answers, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from differential.harness.compare import Difference
from differential.harness.script import Sent
from differential.harness.wire import Answer

_BODY_LIMIT = 1_500
_DIFFERENCE_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One step, or one table, in which the servers differ."""

    title: str
    sent: Sent | None
    stock: Answer | None
    ours: Answer | None
    differences: Sequence[Difference]

    def lines(self) -> list[str]:
        """The finding as indented lines."""
        lines = [self.title]
        if self.sent is not None and self.sent.body is not None:
            lines.append(f"    sent   {_body(self.sent.body)}")
        for name, answer in (("stock", self.stock), ("ours", self.ours)):
            if answer is not None:
                lines.append(f"    {name:6} {answer.status} {answer.content_type} {_body(answer.body)}")
        lines += [f"    - {difference}" for difference in self.differences[:_DIFFERENCE_LIMIT]]
        if len(self.differences) > _DIFFERENCE_LIMIT:
            lines.append(f"    … and {len(self.differences) - _DIFFERENCE_LIMIT} more differences")
        return lines


def render(name: str, dialect: str, findings: Sequence[Finding]) -> str:
    """The whole report of a script."""
    lines = [f"{name} on {dialect}: {len(findings)} step(s) or table(s) differ"]
    for finding in findings:
        lines += ["", *finding.lines()]
    return "\n".join(lines)


def _body(body: bytes) -> str:
    text = body.decode("utf-8", "backslashreplace").replace("\n", "\n           ")
    return text if len(text) <= _BODY_LIMIT else f"{text[:_BODY_LIMIT]}… ({len(body)} bytes)"
