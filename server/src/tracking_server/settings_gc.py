"""The settings of garbage collection, and how long ago something must have been deleted to be collected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from tracking_server.cron import Schedule
from tracking_server.settings import setting

# The texts that mlflow/cli/__init__.py takes for --older-than.
_AGE = re.compile(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", re.ASCII)


def age_in_milliseconds(text: str) -> int:
    """The milliseconds of a text such as 30d or 1d12h. Raises ValueError."""
    found = _AGE.fullmatch(text)
    if found is None or not text:
        raise ValueError(text)
    days, hours, minutes, seconds = (float(number or 0) for number in found.groups())
    try:
        return int(timedelta(days, seconds, minutes=minutes, hours=hours).total_seconds() * 1000)
    except OverflowError:
        raise ValueError(text) from None


def _is_age(text: str) -> bool:
    return age_in_milliseconds(text) >= 0


def _is_schedule(text: str) -> bool:
    return bool(Schedule.parse(text))


@dataclass(frozen=True, slots=True)
class GcSettings:
    """Garbage collection: what was deleted in MLflow is deleted for good."""

    older_than: str | None = setting(
        None,
        "Collect only what was deleted at least so long ago; unset collects all that is deleted.",
        check=_is_age,
        allowed="days, hours, minutes and seconds in this order, such as 30d, 12h30m or 1.5d",
        stock_flag="--older-than",
        example="30d",
    )
    schedule: str | None = setting(
        None,
        "When the server collects by itself, in UTC: minute, hour, day of the month, month, day of the week, as cron"
        " has them. Of the servers on one database, one collects. Unset leaves it to `tracking-server gc`.",
        check=_is_schedule,
        allowed="five fields as in a crontab, such as '0 3 * * 0' for Sundays at three",
        example="0 3 * * 0",
    )
