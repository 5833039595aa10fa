"""The operator's options, typed and checked. What is wrong is said with the option and what it allows."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import ops

ExternalService = Literal["none", "node-port", "load-balancer"]

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
ARTIFACT_SERVING = ("proxied", "direct")
EXTERNAL_SERVICES = ("none", "node-port", "load-balancer")
STOCK_JOBS = ("auto", "always", "never")

_DURATION = re.compile(r"(?=.)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_HOST_PATTERN = re.compile(r"[A-Za-z0-9.*_-]+(?::(?:\d{1,5}|\*))?|\[[0-9A-Fa-f:.*]+\](?::(?:\d{1,5}|\*))?", re.ASCII)
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://(?:[A-Za-z0-9.*_-]+|\[[0-9A-Fa-f:.]+\])(?::(?:\d{1,5}|\*))?", re.ASCII)
_CPU = re.compile(r"(?P<milli>\d{1,7})m|(?P<cores>\d{1,4}(?:\.\d{1,3})?)", re.ASCII)
_MEMORY = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,3})?)(?P<unit>[kMGT]|[KMGT]i)?", re.ASCII)
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_ITEM = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)

DURATION_ALLOWED = "days, hours, minutes and seconds in this order, such as 30d or 12h30m"


class ConfigError(ValueError):
    """One or more options are wrong; the text names each with its allowed values. Holds no secret."""


@dataclass(frozen=True, kw_only=True)
class CharmConfig:
    """The options of config.yaml, by its names. Raises ConfigError when one is wrong."""

    workers: int
    log_level: str
    max_json_body: int
    max_concurrent_requests: int
    statement_timeout: int
    database_connections: int
    external_hostname: str
    allowed_hosts: str
    cors_allowed_origins: str
    artifact_serving: str
    presigned_artifacts: bool
    automatic_migration: bool
    gc_older_than: str
    gc_schedule: str
    external_service: ExternalService
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    stock_arguments: str
    stock_jobs: str
    stock_environment: ops.Secret | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{option}: {value!r} is not allowed; allowed: {allowed}" for option, value, allowed in self._wrong()
        ]
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def allowed_host_list(self) -> tuple[str, ...]:
        return comma_list(self.allowed_hosts)

    @property
    def cors_origin_list(self) -> tuple[str, ...]:
        return comma_list(self.cors_allowed_origins)

    @property
    def stock_argument_list(self) -> tuple[str, ...]:
        return tuple(shlex.split(self.stock_arguments))

    def _wrong(self) -> Iterator[tuple[str, object, str]]:
        """Every wrong option with its value and what it allows."""
        for option, minimum, maximum in (
            ("workers", 1, 64),
            ("max-json-body", 1024, 2**31),
            ("max-concurrent-requests", 1, 100_000),
            ("statement-timeout", 0, 86_400),
            ("database-connections", 1, 1000),
        ):
            value = getattr(self, option.replace("-", "_"))
            if not minimum <= value <= maximum:
                yield option, value, f"a whole number from {minimum} to {maximum}"
        for option, choices in (
            ("log-level", LOG_LEVELS),
            ("artifact-serving", ARTIFACT_SERVING),
            ("external-service", EXTERNAL_SERVICES),
            ("stock-jobs", STOCK_JOBS),
        ):
            value = getattr(self, option.replace("-", "_"))
            if value not in choices:
                yield option, value, ", ".join(choices)
        texts: tuple[tuple[str, Callable[[str], bool], str], ...] = (
            (
                "external-hostname",
                _is_hostname,
                "a name such as mlflow.example.com, without scheme and port, or nothing",
            ),
            ("allowed-hosts", _all(_HOST_PATTERN), "host names with commas between, such as mlflow.example.com,*.lan"),
            (
                "cors-allowed-origins",
                _all(_ORIGIN),
                "origins with commas between, such as https://app.example.com, or *",
            ),
            ("gc-older-than", is_duration, DURATION_ALLOWED),
            ("gc-schedule", _is_schedule, "minute hour day month weekday in numbers, such as 0 3 * * 0, or nothing"),
            ("cpu-request", _is_quantity(_millicores), _CPU_ALLOWED),
            ("cpu-limit", _is_quantity(_millicores), _CPU_ALLOWED),
            ("memory-request", _is_quantity(_bytes), _MEMORY_ALLOWED),
            ("memory-limit", _is_quantity(_bytes), _MEMORY_ALLOWED),
            ("stock-arguments", _is_words, "words as a shell would split them, with every quote closed"),
        )
        wrong = set()
        for option, is_allowed, allowed in texts:
            value = getattr(self, option.replace("-", "_"))
            if not is_allowed(value):
                wrong.add(option)
                yield option, value, allowed
        for resource, amount in (("cpu", _millicores), ("memory", _bytes)):
            request, limit = f"{resource}-request", f"{resource}-limit"
            least, most = getattr(self, f"{resource}_request"), getattr(self, f"{resource}_limit")
            if least and most and not wrong & {request, limit} and (amount(least) or 0) > (amount(most) or 0):
                yield request, least, f"at most {limit}, which is {most}"


def environment_of(secret: ops.Secret | None) -> dict[str, str]:
    """The variables of the option ``stock-environment``: openai-api-key becomes OPENAI_API_KEY.

    Raises ConfigError where the secret cannot be read, or an item is no name of a variable.
    """
    if secret is None:
        return {}
    try:
        content = secret.get_content(refresh=True)
    except (ops.SecretNotFoundError, ops.ModelError):
        raise ConfigError(
            "stock-environment: the secret cannot be read; allowed: a user secret that is granted to this application"
            " (juju grant-secret)"
        ) from None
    variables = {name.replace("-", "_").upper(): value for name, value in content.items()}
    wrong = [name for name in variables if not _VARIABLE.fullmatch(name)]
    if wrong or any("\0" in value for value in variables.values()):
        raise ConfigError("stock-environment: an item is no variable; allowed: names of letters, digits and hyphens")
    return variables


def comma_list(text: str) -> tuple[str, ...]:
    """The items of a list with commas between, each once and without spaces around."""
    return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


def is_duration(text: str) -> bool:
    """Whether the text is one of ``DURATION_ALLOWED``."""
    return _DURATION.fullmatch(text) is not None


def _is_hostname(text: str) -> bool:
    return not text or _HOSTNAME.fullmatch(text) is not None


def _all(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: all(pattern.fullmatch(item) for item in comma_list(text))


def _is_words(text: str) -> bool:
    try:
        words = shlex.split(text)
    except ValueError:
        return False
    return not any("\0" in word for word in words)


def _is_schedule(text: str) -> bool:
    fields = text.split()
    return not fields or (
        len(fields) == len(_CRON_RANGES)
        and all(_is_cron_field(field, *limits) for field, limits in zip(fields, _CRON_RANGES, strict=True))
    )


def _is_cron_field(field: str, minimum: int, maximum: int) -> bool:
    for item in field.split(","):
        match = _CRON_ITEM.fullmatch(item)
        if match is None:
            return False
        first, last, step = (None if group is None else int(group) for group in match.groups())
        if step is not None and (step < 1 or (first is not None and last is None)):
            return False
        if first is not None and not minimum <= first <= (first if last is None else last) <= maximum:
            return False
    return True


_CPU_ALLOWED = "cores or thousandths of one, such as 2 or 500m, or nothing"
_MEMORY_ALLOWED = "bytes with a unit, such as 512Mi or 2Gi, or nothing"
_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _is_quantity(amount: Callable[[str], Decimal | None]) -> Callable[[str], bool]:
    return lambda text: not text or (amount(text) or 0) > 0


def _millicores(text: str) -> Decimal | None:
    match = _CPU.fullmatch(text)
    if match is None:
        return None
    return Decimal(match["milli"]) if match["milli"] else Decimal(match["cores"]) * 1000


def _bytes(text: str) -> Decimal | None:
    match = _MEMORY.fullmatch(text)
    if match is None:
        return None
    number = Decimal(match["number"]) * _UNITS.get(match["unit"] or "", 1)
    # Kubernetes takes fractions of bytes for a mistake, and so do we.
    return number if number == math.floor(number) else None
