"""Stork's Kubernetes events in our log: each occurrence once, whoever looks and however often.

A cluster counts equal events in one object; our log only grows. So a line of ours stands for the occurrences that no
line stood for yet, and all lines of one Kubernetes event add up to its count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db.models import F, Sum
from django.utils import timezone

from clusters.kube.connection import Connection
from clusters.portworx import durations
from migrations_app import events
from migrations_app.models import Migration, Stage

Object = dict[str, Any]
# `apps/v1, Kind=Deployment cms/mysql: Resource migrated successfully`
ABOUT_RESOURCE = re.compile(r"(?:\(combined from similar events\): )?\S*/\S+, Kind=(\w+) (\S*/\S+?): ")
ABOUT_VOLUME = re.compile(r"(?:\(combined from similar events\): )?(?:Volume|Error migrating volume) (\S+?):? ")
MOST_REASON = 60


def of(connection: Connection, migration: Migration) -> list[Object]:
    """The events about the Migration that the source has now, in the order in which they happened."""
    known = migration.stork_object
    found = connection.list("events", known["namespace"], field_selector=f"involvedObject.uid={known['uid']}")
    return sorted(found, key=_order)


def _order(event: Object) -> tuple[str, str]:
    """By when it was last seen; what was seen once in the same second by its name, which ends with its nanosecond."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or ""), str(event["metadata"]["name"])


def stage_of(event: Object) -> Stage | None:
    """The stage that the event tells of; None where it may be any."""
    message = str(event.get("message") or "")
    if ABOUT_VOLUME.match(message):
        return Stage.VOLUMES
    return Stage.APPLICATIONS if ABOUT_RESOURCE.match(message) else None


def until(told: Iterable[Object], stages: Collection[Stage]) -> list[Object]:
    """The events that tell of one of the stages, and those that may be of any."""
    return [each for each in told if (stage := stage_of(each)) is None or stage in stages]


def mirror(migration: Migration, told: Iterable[Object]) -> int:
    """Write down what our log lacks of the events; how many lines that were. To be called in a transaction."""
    told = list(told)
    if not told:
        return 0
    # Locks the row, so that two who look at once do not both find the same missing.
    Migration.objects.filter(pk=migration.pk).update(last_event_seq=F("last_event_seq"))
    uids = [str(each["metadata"]["uid"]) for each in told]
    rows = migration.events.filter(origin__in=uids).order_by().values_list("origin")
    known = dict(rows.annotate(Sum("count")))
    written = 0
    for each in told:
        uid = str(each["metadata"]["uid"])
        missing = max(1, int(each.get("count") or 1)) - known.get(uid, 0)
        if missing <= 0:
            continue
        written += 1
        events.emit(
            migration,
            str(each.get("reason") or "")[:MOST_REASON],
            str(each.get("message") or "").strip(),
            warning=each.get("type") == "Warning",
            source=str((each.get("source") or {}).get("component") or each.get("reportingComponent") or "stork")[:60],
            regarding=_regarding(each),
            at=_at(each),
            origin=uid,
            count=missing,
        )
    return written


def _regarding(event: Object) -> str:
    message = str(event.get("message") or "")
    if found := ABOUT_RESOURCE.match(message):
        return f"{found[1]}/{found[2].lstrip('/')}"[:350]
    if found := ABOUT_VOLUME.match(message):
        return f"PersistentVolume/{found[1]}"[:350]
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '')}/{about.get('namespace', '')}/{about.get('name', '')}"[:350]


def _at(event: Object) -> datetime:
    return durations.moment(event.get("lastTimestamp")) or durations.moment(event.get("eventTime")) or timezone.now()
