"""When a schedule policy is due, as Stork computes it: an interval after the last, or within an hour of a moment."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from typing import Any

from demo.portworx import pace

Object = dict[str, Any]
DAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
DAYS |= {name.lower()[:3]: number for name, number in list(DAYS.items())}
DAYS |= {"thur": 3, "thurs": 3}
# A moment that was missed by more than this is skipped (pkg/schedule/schedule.go).
WINDOW = timedelta(hours=1)


class PolicyError(Exception):
    """The policy cannot be used; the message is Stork's."""


def due(policy: Object, last: dict[str, datetime | None], now: datetime) -> str | None:
    """The type of policy that is due, of those that the policy has; `last` gives each type's last trigger.

    Raises PolicyError.
    """
    for kind, title, is_due in (
        ("interval", "Interval", _interval),
        ("daily", "Daily", _daily),
        ("weekly", "Weekly", _weekly),
        ("monthly", "Monthly", _monthly),
    ):
        part = policy.get(kind)
        if part and is_due(part, last.get(title), now):
            return title
    return None


def _interval(part: Object, last: datetime | None, now: datetime) -> bool:
    minutes = part.get("intervalMinutes") or 0
    if minutes < 1:
        raise PolicyError(f"Invalid intervalMinutes ({minutes}) in Interval policy")
    return last is None or last + timedelta(seconds=minutes * pace.MINUTE_SECONDS) < now


def _daily(part: Object, last: datetime | None, now: datetime) -> bool:
    return _reached(_at(part, "Daily", now), last, now)


def _weekly(part: Object, last: datetime | None, now: datetime) -> bool:
    day = str(part.get("day", ""))
    if day.lower() not in DAYS:
        raise PolicyError(f"Invalid day of the week ({day}) in Weekly policy")
    moment = _at(part, "Weekly", now)
    return now.weekday() == DAYS[day.lower()] and _reached(moment, last, now)


def _monthly(part: Object, last: datetime | None, now: datetime) -> bool:
    date = part.get("date") or 0
    if not 1 <= date <= 31:
        raise PolicyError(f"Invalid date of the month ({date}) in Monthly policy")
    moment = _at(part, "Monthly", now).replace(day=1) + timedelta(days=date - 1)
    return _reached(moment, last, now)


def _at(part: Object, title: str, now: datetime) -> datetime:
    """Today at the policy's time, which is written like 3:04PM."""
    text = str(part.get("time", ""))
    try:
        moment = datetime.strptime(text.upper(), "%I:%M%p")
    except ValueError:
        raise PolicyError(
            f'Invalid time ({text}) in {title} policy: parsing time "{text}" as "3:04PM": cannot parse "{text}" as "3"'
        ) from None
    return now.replace(hour=moment.hour, minute=moment.minute, second=0, microsecond=0)


def _reached(moment: datetime, last: datetime | None, now: datetime) -> bool:
    return moment <= now < moment + WINDOW and (last is None or last < moment)
