"""SchedulePolicies: when Stork migrates again. Names, rules and messages are Stork's (pkg/apis/stork/v1alpha1)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from clusters.portworx.migration import API_VERSION, GROUP

Object = dict[str, Any]
POLICIES = f"schedulepolicies.{GROUP}"
NAMESPACED_POLICIES = f"namespacedschedulepolicies.{GROUP}"
# A kitchen clock, as Go's time.Kitchen: 3:04PM.
TIME = re.compile(r"(1[0-2]|0?[1-9]):[0-5][0-9]([AaPp][Mm])")
DAYS = (*calendar.day_name, *calendar.day_abbr, "Thur", "Thurs")
NOT_APPLICABLE = "N/A"


class PolicyError(ValueError):
    """The policy cannot be; the message is what Stork would say of it."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When to migrate: each part that is set counts by itself. `interval_minutes` of 0 stands for none."""

    interval_minutes: int = 0
    daily: str = ""
    weekly_day: str = ""
    weekly: str = ""
    monthly_date: int = 0
    monthly: str = ""

    def check(self) -> None:
        """Raises PolicyError."""
        if self.interval_minutes < 0:
            raise PolicyError(f"Invalid intervalMinutes ({self.interval_minutes}) in Interval policy")
        for title, time in (("Daily", self.daily), ("Weekly", self.weekly), ("Monthly", self.monthly)):
            if time and not TIME.fullmatch(time):
                raise PolicyError(f"Invalid time ({time}) in {title} policy: write it like 3:04PM")
        if bool(self.weekly_day) != bool(self.weekly) or (self.weekly_day and not _is_day(self.weekly_day)):
            raise PolicyError(f"Invalid day of the week ({self.weekly_day}) in Weekly policy")
        if bool(self.monthly_date) != bool(self.monthly) or not 0 <= self.monthly_date <= 31:
            raise PolicyError(f"Invalid date of the month ({self.monthly_date}) in Monthly policy")
        if not (self.interval_minutes or self.daily or self.weekly or self.monthly):
            raise PolicyError("The policy says no time at all: give an interval, or a daily, weekly or monthly time")

    def to_object(self) -> Object:
        """The field `policy`."""
        found: Object = {}
        if self.interval_minutes:
            found["interval"] = {"intervalMinutes": self.interval_minutes}
        if self.daily:
            found["daily"] = {"time": self.daily}
        if self.weekly:
            found["weekly"] = {"day": self.weekly_day, "time": self.weekly}
        if self.monthly:
            found["monthly"] = {"date": self.monthly_date, "time": self.monthly}
        return found

    @classmethod
    def of(cls, obj: Object) -> Self:
        """What a policy in a cluster says."""
        parts = {name: part if isinstance(part, dict) else {} for name, part in _mapping(obj.get("policy")).items()}
        weekly, monthly = parts.get("weekly", {}), parts.get("monthly", {})
        return cls(
            interval_minutes=_number(parts.get("interval", {}).get("intervalMinutes")),
            daily=str(parts.get("daily", {}).get("time") or ""),
            weekly_day=str(weekly.get("day") or ""),
            weekly=str(weekly.get("time") or ""),
            monthly_date=_number(monthly.get("date")),
            monthly=str(monthly.get("time") or ""),
        )

    def columns(self) -> tuple[str, str, str, str]:
        """Interval, daily, weekly and monthly as `storkctl get schedulepolicy` prints them."""
        return (
            str(self.interval_minutes) if self.interval_minutes else NOT_APPLICABLE,
            self.daily or NOT_APPLICABLE,
            f"{self.weekly_day}@{self.weekly}" if self.weekly else NOT_APPLICABLE,
            f"{self.monthly_date}@{self.monthly}" if self.monthly else NOT_APPLICABLE,
        )


def _number(given: object) -> int:
    return given if isinstance(given, int) else 0


def _is_day(text: str) -> bool:
    return text.lower() in {day.lower() for day in DAYS}


def _mapping(given: object) -> Object:
    return given if isinstance(given, dict) else {}


def manifest(name: str, policy: Policy, *, namespace: str = "") -> Object:
    """The whole object: the cluster's, or one namespace's, where it wins over the cluster's. Raises PolicyError."""
    policy.check()
    kind = "NamespacedSchedulePolicy" if namespace else "SchedulePolicy"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "policy": policy.to_object()}


def rows(objects: Iterable[Object]) -> list[tuple[str, ...]]:
    """Name and columns of each policy, by name."""
    found = [(str(each["metadata"]["name"]), *Policy.of(each).columns()) for each in objects]
    return sorted(found)
