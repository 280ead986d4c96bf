"""`storkctl activate|deactivate migrations`: what a migration brought stopped is started there, and stopped again.

Only workloads with the note of their replicas move, and custom resources with the note of how they were stopped. Of
CronJobs storkctl resumes all that are in the namespace; here only those that a migration brought are touched, since
the others are somebody's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.portworx.migration import GROUP
from clusters.portworx.schedules import SCHEDULES

Object = dict[str, Any]
# The second is what Stork wrote until 2.1 and what its documentation still shows.
REPLICAS = (f"{GROUP}/migrationReplicas", "stork.openstorage.org/migrationReplicas")
MIGRATED = f"{GROUP}/migrated"
WORKLOADS = (
    "statefulsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "deploymentconfigs.apps.openshift.io",
)
# `stork.libopenstorage.org/spec.paused: "false,"`: path of what was changed, value before, value for stopped.
STOPPED_CUSTOM = re.compile(rf"{re.escape(GROUP)}/(spec(?:\.\w+)+)")


def activate(connection: Connection, namespace: str, *, active: bool) -> list[str]:
    """Start (or stop) the namespace's migrated applications; what was done, in storkctl's words. Raises KubeError.

    Repeating is safe: what is as it should be is left alone.
    """
    return [
        *_scale(connection, namespace, active),
        *_cron_jobs(connection, namespace, active),
        *_custom_resources(connection, namespace, active),
        *_mark_schedules(connection, namespace, active),
    ]


def _annotations(obj: Object) -> dict[str, str]:
    return dict(obj["metadata"].get("annotations") or {})


def _in(connection: Connection, resource: str | Resource, namespace: str) -> list[Object]:
    try:
        return list(connection.list(resource, namespace))
    except errors.NotFound:
        return []


def _scale(connection: Connection, namespace: str, active: bool) -> Iterator[str]:
    for resource in WORKLOADS:
        for obj in _in(connection, resource, namespace):
            noted = next((note for name in REPLICAS if (note := _annotations(obj).get(name, ""))), "")
            if not noted.isdigit():
                continue
            wanted = int(noted) if active else 0
            if obj["spec"].get("replicas") == wanted:
                continue
            name = obj["metadata"]["name"]
            connection.patch(resource, name, namespace, {"spec": {"replicas": wanted}})
            kind = resource.partition(".")[0].removesuffix("s")
            yield f"Updated replicas for {kind} {namespace}/{name} to {wanted}"


def _cron_jobs(connection: Connection, namespace: str, active: bool) -> Iterator[str]:
    for obj in _in(connection, "cronjobs.batch", namespace):
        if _annotations(obj).get(MIGRATED) != "true" or bool(obj["spec"].get("suspend")) != active:
            continue
        name = obj["metadata"]["name"]
        connection.patch("cronjobs.batch", name, namespace, {"spec": {"suspend": not active}})
        yield f"Updated suspend option for cronjob {namespace}/{name} to {str(not active).lower()}"


def _custom_resources(connection: Connection, namespace: str, active: bool) -> Iterator[str]:
    for resource in connection.discovery().resources():
        if not resource.namespaced or "." not in resource.group or not {"list", "patch"} <= resource.verbs:
            continue
        if resource.group.endswith((".k8s.io", GROUP)) or resource.name in WORKLOADS:
            continue
        try:
            found = _in(connection, resource, namespace)
        except errors.Forbidden:
            continue
        for obj in found:
            for annotation, note in _annotations(obj).items():
                if path := STOPPED_CUSTOM.fullmatch(annotation):
                    before, _comma, stopped = note.partition(",")
                    value = _typed(before) if active else _typed(stopped or _opposite(before))
                    steps = path[1].split(".")
                    if _at(obj, steps) == value:
                        continue
                    name = obj["metadata"]["name"]
                    connection.patch(resource, name, namespace, _nested(steps, value))
                    yield f"Updated CR for {obj['kind'].lower()} {namespace}/{name}"


def _typed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text


def _opposite(before: str) -> str:
    """What stops the application, where the note gives only the value before: true for switches, zero for counts."""
    return "true" if before in ("true", "false") else "0"


def _at(obj: Any, path: list[str]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _nested(path: list[str], value: Any) -> Object:
    found: Any = value
    for name in reversed(path):
        found = {name: found}
    return dict(found)


def _mark_schedules(connection: Connection, namespace: str, active: bool) -> Iterator[str]:
    """Schedules that migrate to here are told, so that they do not overwrite what runs."""
    for obj in _in(connection, SCHEDULES, namespace):
        if bool((obj.get("status") or {}).get("applicationActivated")) == active:
            continue
        name = obj["metadata"]["name"]
        connection.patch(SCHEDULES, name, namespace, {"status": {"applicationActivated": active}})
        said = f"MigrationSchedule {namespace}/{name} to {str(active).lower()}"
        yield f"Setting the ApplicationActivated status in the {said}"
