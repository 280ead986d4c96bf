"""Jobs that a pause holds: suspended, with a mark of ours, so that those which others suspend are left to them."""

from __future__ import annotations

from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection

Object = dict[str, Any]
JOBS = "jobs.batch"
HELD_ANNOTATION = "kubemotion.io/paused"
# Conditions of Jobs that make no pod any more.
ENDED = {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}


def is_held(job: Object) -> bool:
    """Whether a pause of ours holds the Job: others may suspend Jobs too, such as queues that admit them."""
    marked = HELD_ANNOTATION in (job["metadata"].get("annotations") or {})
    return marked and bool((job.get("spec") or {}).get("suspend"))


def is_open(job: Object) -> bool:
    """Whether the Job has neither ended nor is going."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    ended = any(each["type"] in ENDED and each["status"] == "True" for each in conditions)
    return not ended and "deletionTimestamp" not in job["metadata"]


def hold(connection: Connection, job: Object, *, held: bool) -> None:
    """Suspend the Job, whose pods then end and are gone, or let it make one again. Raises KubeError."""
    metadata = job["metadata"]
    marked = {"uid": metadata["uid"], "annotations": {HELD_ANNOTATION: "true" if held else None}}
    try:
        connection.patch(JOBS, metadata["name"], metadata["namespace"], {"metadata": marked, "spec": {"suspend": held}})
    except errors.NotFound:
        # Gone in this moment: whoever looks next makes it again.
        return
