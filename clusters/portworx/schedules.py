"""MigrationSchedules: a Migration again and again, by a policy. The copy of one on its destination is told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.kube.connection import Connection
from clusters.portworx import durations
from clusters.portworx.migration import API_VERSION, GROUP, MigrationSpec

Object = dict[str, Any]
SCHEDULES = f"migrationschedules.{GROUP}"
STATIC_COPY = f"{GROUP}/static-copy"


@dataclass(frozen=True)
class ScheduledRun:
    """One Migration that the schedule has made. `policy` is Interval, Daily, Weekly or Monthly."""

    policy: str
    name: str
    created: datetime | None
    finished: datetime | None
    status: str


@dataclass(frozen=True)
class Schedule:
    """A MigrationSchedule as it stands. `runs` are the newest first."""

    name: str
    namespace: str
    policy: str
    spec: MigrationSpec
    suspended: bool
    auto_suspend: bool
    is_static_copy: bool
    applications_activated: bool
    runs: list[ScheduledRun]

    @property
    def last_success(self) -> ScheduledRun | None:
        """The newest run that ended Successful: PartialSuccess is none, as for storkctl."""
        return next((run for run in self.runs if run.status == "Successful"), None)


def manifest(
    name: str, namespace: str, spec: MigrationSpec, *, policy: str, auto_suspend: bool = True, suspended: bool = False
) -> Object:
    """The whole object."""
    return {
        "apiVersion": API_VERSION,
        "kind": "MigrationSchedule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "template": {"spec": spec.to_object()},
            "schedulePolicyName": policy,
            "suspend": suspended,
            "autoSuspend": auto_suspend,
        },
    }


def read(obj: Object) -> Schedule:
    """A schedule from its object, however damaged that is."""
    metadata, spec, status = (_mapping(obj.get(name)) for name in ("metadata", "spec", "status"))
    return Schedule(
        name=str(metadata.get("name", "")),
        namespace=str(metadata.get("namespace", "")),
        policy=str(spec.get("schedulePolicyName") or ""),
        spec=MigrationSpec.of(_mapping(spec.get("template"))),
        suspended=spec.get("suspend") is True,
        auto_suspend=spec.get("autoSuspend") is True,
        is_static_copy=_mapping(metadata.get("annotations")).get(STATIC_COPY) == "true",
        applications_activated=status.get("applicationActivated") is True,
        runs=_runs(_mapping(status.get("items"))),
    )


def _runs(items: Mapping[str, Any]) -> list[ScheduledRun]:
    found = [
        ScheduledRun(
            str(policy),
            str(row.get("name", "")),
            durations.moment(row.get("creationTimestamp")),
            durations.moment(row.get("finishTimestamp")),
            str(row.get("status") or ""),
        )
        for policy, rows in items.items()
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]
    return sorted(found, key=lambda run: (run.created is not None, run.created, run.name), reverse=True)


def _mapping(given: object) -> Object:
    return given if isinstance(given, dict) else {}


def suspend(connection: Connection, namespace: str, name: str, *, suspended: bool) -> Object:
    """`storkctl suspend|resume migrationschedule`. Raises KubeError."""
    return connection.patch(SCHEDULES, name, namespace, {"spec": {"suspend": suspended}})


def rows(objects: Iterable[Object]) -> list[tuple[str, ...]]:
    """What `storkctl get migrationschedule` prints of each."""
    found: list[tuple[str, ...]] = []
    for each in map(read, objects):
        last = each.last_success
        ended = last.finished.strftime("%d %b %y %H:%M UTC") if last and last.finished else ""
        took = durations.to_go(last.finished - last.created) if last and last.finished and last.created else ""
        suspended = str(each.suspended).lower()
        found.append((each.name, each.policy, each.spec.cluster_pair, suspended, ended, took))
    return found
