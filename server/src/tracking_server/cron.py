"""Times that come again, as a crontab writes them: minute, hour, day of the month, month, day of the week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_ITEM = re.compile(r"(?:(\*)|(\d+)(?:-(\d+))?)(?:/(\d+))?", re.ASCII)
_LONGEST_WAIT = timedelta(days=8 * 366)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes at which something is due; days of the week count from Sunday, 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Whether one of ``days`` and ``weekdays`` is enough, as cron has it where both are given."""

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Reads ``0 3 * * 0``: numbers, ranges, lists and steps, no names. Raises ValueError, also if never due."""
        fields = text.split()
        if len(fields) != 5:
            raise ValueError(text)
        minutes, hours, days, months, weekdays = (
            _numbers(field, low, high)
            for field, (low, high) in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True)
        )
        either = not fields[2].startswith("*") and not fields[4].startswith("*")
        schedule = cls(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
        # Is there a next time at all? From any one, as 31 February never is.
        schedule.after(datetime(2024, 1, 1))
        return schedule

    def after(self, moment: datetime) -> datetime:
        """The first due minute later than ``moment``, in its time zone. Raises ValueError where there is none."""
        due = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = due + _LONGEST_WAIT
        while due < end:
            if not self._is_day(due):
                due = due.replace(hour=0, minute=0) + timedelta(days=1)
            elif due.hour not in self.hours:
                due = due.replace(minute=0) + timedelta(hours=1)
            elif due.minute not in self.minutes:
                due += timedelta(minutes=1)
            else:
                return due
        raise ValueError("the schedule is never due")

    def _is_day(self, moment: datetime) -> bool:
        if moment.month not in self.months:
            return False
        by_date, by_week = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return by_date or by_week if self.either_day else by_date and by_week


def _numbers(field: str, low: int, high: int) -> frozenset[int]:
    numbers: set[int] = set()
    for item in field.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError(field)
        star, first, last, step = found.groups()
        start = low if star else int(first)
        # A step after one number counts from it to the end.
        stop = high if star or (step and not last) else int(last or first)
        if not low <= start <= stop <= high or step == "0":
            raise ValueError(field)
        numbers.update(range(start, stop + 1, int(step or 1)))
    return frozenset(numbers)
