"""What a cluster lets in: with how much power movers' pods may come into a namespace, asked of the cluster itself.

The namespace's own label says what Pod Security enforces there. What the cluster enforces where nothing is said, or
what its policies and webhooks refuse, is tried by making such a pod as a dry run.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.native import pod_options, privileges
from migrations_app.engines.native.privileges import NOBODY, Direction, Level, Power
from migrations_app.resources.constraints import SCCS, Account, is_named, use_review
from migrations_app.resources.marks import MANAGED_BY, VOLUME_LABEL

Object = dict[str, Any]
# The constraints that OpenShift comes with and that let everything in, for whoever may not read any.
PRIVILEGED: Object = {"metadata": {"name": "privileged"}}
LEVELS: tuple[Level, ...] = ("root", "baseline", "restricted")


def most_power(connection: Connection, namespace: str, direction: Direction) -> tuple[Level, str]:
    """The most that is let in of what a mover can do with, and what the cluster said against more.

    Where nothing is let in, or nothing may be tried, power is not what it depends on: then all of it. Raises KubeError.
    """
    if not connection.can_i("create", "pods", namespace):
        return "root", ""
    said = ""
    for level in LEVELS:
        try:
            connection.create("pods", _trial(namespace, direction, level), dry_run=True)
        except errors.Forbidden as error:
            said = said or error.message
        except (errors.Invalid, errors.NotFound, errors.AlreadyExists, errors.Conflict, errors.WebhookFailed):
            return "root", ""
        else:
            return level, said
    return "root", ""


def _trial(namespace: str, direction: Direction, level: Level) -> Object:
    """A pod like a mover's."""
    power = Power(level, NOBODY if level == "restricted" else 0)
    container = {
        "name": "mover",
        "image": settings.MOVER_IMAGE,
        "resources": pod_options.resources(),
        "securityContext": privileges.container_context(direction, power),
    }
    return {
        "metadata": {"name": "kubemotion-trial", "namespace": namespace, "labels": {**MANAGED_BY, VOLUME_LABEL: "0"}},
        "spec": {
            "containers": [container],
            "securityContext": privileges.pod_context(power),
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
        },
    }


def refuses_root(connection: Connection, namespace: str) -> bool:
    """Whether OpenShift keeps the namespace's pods from being root with the capabilities of a mover."""
    if connection.discovery().find(SCCS) is None:
        return False
    try:
        there = list(connection.list(SCCS))
    except errors.Forbidden:
        there = [PRIVILEGED]
    else:
        if not there:
            return False
    # Movers' pods have the default service account.
    account = Account(namespace, "default")
    permissive = [each for each in there if each is PRIVILEGED or privileges.is_permissive(each)]
    return not any(is_named(each, account) or _is_granted(connection, each, account) for each in permissive)


def _is_granted(connection: Connection, constraints: Object, account: Account) -> bool:
    path, review = use_review(constraints["metadata"]["name"], account)
    try:
        answer = connection.json("POST", path, body=review, repeatable=True, what="review the movers' permissions")
    except errors.Forbidden:
        # Without an answer, as OpenShift comes: not.
        return False
    return bool((answer.get("status") or {}).get("allowed"))
