"""Jobs: pods until enough of them succeeded, or too many failed, or the time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    drop_finalizer,
    find,
    is_pod_finished,
    now,
    own_key,
    owner_key,
    reconcile_loop,
    seconds_since,
    update_status,
)
from demo.cluster.controllers.pace import JOB_BACKOFF_LIMIT_SECONDS, JOB_BACKOFF_SECONDS
from demo.cluster.controllers.pods_of import create_pod, delete_pod, is_active, owned_pods, pod_from, ready_count

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

JOBS = "jobs.batch"
COMPONENT = "job-controller"
TRACKING = "batch.kubernetes.io/job-tracking"

Failure = tuple[str, str]  # reason and message


async def run(api: ClusterAPI) -> None:
    """Run Jobs for ever."""
    await reconcile_loop(api, {JOBS: own_key, "pods": owner_key("Job")}, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one Job."""
    job = find(api, JOBS, *key)
    if job is None or "deletionTimestamp" in job["metadata"]:
        _let_go(api, key)
        return None
    status = job.get("status", {})
    if finished_at(job):
        return _expire(api, job)
    pods = owned_pods(api, job)
    active = [pod for pod in pods if is_active(pod)]
    terminating = [pod for pod in pods if "deletionTimestamp" in pod["metadata"] and not _is_over(pod)]
    newly_finished = [pod for pod in pods if _is_over(pod) and TRACKING in pod["metadata"].get("finalizers", ())]
    status = _count(job, status, newly_finished)
    suspended = job["spec"].get("suspend", False)
    if not suspended and "startTime" not in status:
        status["startTime"] = now()
    if suspended:
        status.pop("startTime", None)

    failure = _failure(job, status, pods)
    again = None
    if failure:
        status = _with_condition(api, job, status, "FailureTarget", failure, announce="")
        for pod in active:
            delete_pod(api, job, pod, component=COMPONENT)
        if not active and not terminating:
            status = _with_condition(api, job, status, "Failed", failure, announce="Warning")
        elif active:
            status["failed"] = status.get("failed", 0) + len(active)
        terminating, active = terminating + active, []
    elif status.get("succeeded", 0) >= _completions(job):
        again = _complete(api, job, status, active, terminating)
    elif suspended:
        for pod in active:
            # Let go of before it ends, so that its end counts neither as a failure nor for the backoff.
            drop_finalizer(api, "pods", pod, TRACKING)
            delete_pod(api, job, pod, component=COMPONENT)
        status = _with_condition(api, job, status, "Suspended", ("JobSuspended", "Job suspended"), announce="Normal")
        terminating, active = terminating + active, []
    else:
        status = _resumed(api, job, status)
        created, again = _create_missing(api, job, status, pods, len(active), len(terminating))
        active += created
    status["active"] = len(active)
    status["terminating"] = len(terminating)
    status["ready"] = ready_count(active)
    status["uncountedTerminatedPods"] = {}
    if not status["active"]:
        del status["active"]
    job = update_status(api, JOBS, job, status)
    for pod in newly_finished:
        drop_finalizer(api, "pods", pod, TRACKING)
    return _next_look(job, again)


def _is_over(pod: Object) -> bool:
    """Whether nothing will happen to the pod any more; one deleted before it had a node never began."""
    never_began = "deletionTimestamp" in pod["metadata"] and not pod["spec"].get("nodeName")
    return is_pod_finished(pod) or never_began


def _was_let_go(pod: Object) -> bool:
    """Whether the pod was deleted because its Job was suspended."""
    return "deletionTimestamp" in pod["metadata"] and TRACKING not in pod["metadata"].get("finalizers", ())


def finished_at(job: Object) -> str | None:
    """When the Job completed or failed; None while it has not."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition["lastTransitionTime"]
    return None


def _let_go(api: ClusterAPI, key: Key) -> None:
    """Pods of a Job that is gone or going need no counting any more."""
    for pod in api.list("pods", key[0]):
        if TRACKING in pod["metadata"].get("finalizers", ()) and key in owner_key("Job")(pod):
            drop_finalizer(api, "pods", pod, TRACKING)


def _expire(api: ClusterAPI, job: Object) -> float | None:
    for pod in owned_pods(api, job):
        if is_pod_finished(pod):
            drop_finalizer(api, "pods", pod, TRACKING)
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None:
        return None
    left = lifetime - seconds_since(finished_at(job) or now())
    if left > 0:
        return left
    delete_quietly(api, JOBS, job, propagation="Foreground")
    return None


def _completions(job: Object) -> int:
    return job["spec"].get("completions", 1)


def _count(job: Object, status: Object, newly_finished: list[Object]) -> Object:
    counted = {**status}
    for pod in newly_finished:
        succeeded = pod["status"].get("phase") == "Succeeded"
        if not succeeded and _policy_action(job, pod)[0] == "Ignore":
            continue
        # A pod that was deleted because the Job had failed was counted when it was.
        if not succeeded and _has(status, "FailureTarget") and "deletionTimestamp" in pod["metadata"]:
            continue
        field = "succeeded" if succeeded else "failed"
        counted[field] = counted.get(field, 0) + 1
    return counted


def _has(status: Object, kind: str) -> bool:
    return any(each["type"] == kind and each["status"] == "True" for each in status.get("conditions", ()))


def _failure(job: Object, status: Object, pods: list[Object]) -> Failure | None:
    for condition in status.get("conditions", ()):
        if condition["type"] == "FailureTarget" and condition["status"] == "True":
            return condition["reason"], condition["message"]
    for pod in pods:
        if pod["status"].get("phase") == "Failed":
            action, message = _policy_action(job, pod)
            if action == "FailJob":
                return "PodFailurePolicy", message
    limit = job["spec"].get("backoffLimit", 6)
    over = status.get("failed", 0) > limit
    if job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure":
        counts = [each.get("restartCount", 0) for pod in pods for each in pod["status"].get("containerStatuses", ())]
        over = over or sum(counts) >= max(1, limit)
    if over:
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = job["spec"].get("activeDeadlineSeconds")
    if deadline is not None and "startTime" in status and seconds_since(status["startTime"]) >= deadline:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _policy_action(job: Object, pod: Object) -> Failure:
    """What the Job's podFailurePolicy says about the failed pod: action (Count when nothing applies) and message."""
    for index, rule in enumerate(job["spec"].get("podFailurePolicy", {}).get("rules", ())):
        wanted = rule.get("onExitCodes")
        for each in pod["status"].get("containerStatuses", ()) if wanted else ():
            code = each.get("state", {}).get("terminated", {}).get("exitCode", 0)
            if wanted.get("containerName", each["name"]) != each["name"] or code == 0:
                continue
            if (code in wanted["values"]) == (wanted["operator"] == "In"):
                place = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                message = (
                    f"Container {each['name']} for pod {place} failed with exit code {code} "
                    f"matching {rule['action']} rule at index {index}"
                )
                return rule["action"], message
        for pattern in rule.get("onPodConditions", ()):
            for each in pod["status"].get("conditions", ()):
                if (each["type"], each["status"]) == (pattern["type"], pattern.get("status", "True")):
                    place = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                    message = (
                        f"Pod {place} has condition {each['type']} matching {rule['action']} rule at index {index}"
                    )
                    return rule["action"], message
    return "Count", ""


def _with_condition(api: ClusterAPI, job: Object, status: Object, kind: str, why: Failure, *, announce: str) -> Object:
    """The status with a true condition; the first time an event of type `announce` tells of it."""
    if _has(status, kind):
        return status
    moment, (reason, message) = now(), why
    condition = {
        "type": kind,
        "status": "True",
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
    if announce:
        event = ("Suspended", "Job suspended") if kind == "Suspended" else (reason, message)
        event = ("Completed", "Job completed") if kind == "Complete" else event
        api.record_event(job, announce, *event, component=COMPONENT)
    others = [each for each in status.get("conditions", ()) if each["type"] != kind]
    return {**status, "conditions": [*others, condition]}


def _resumed(api: ClusterAPI, job: Object, status: Object) -> Object:
    """The status of a Job that is not suspended, or no longer: then its time begins anew, and an event tells of it."""
    if not _has(status, "Suspended"):
        return status
    api.record_event(job, "Normal", "Resumed", "Job resumed", component=COMPONENT)
    moment = now()
    resumed = {
        "type": "Suspended",
        "status": "False",
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": "JobResumed",
        "message": "Job resumed",
    }
    others = [each for each in status["conditions"] if each["type"] != "Suspended"]
    return {**status, "startTime": moment, "conditions": [*others, resumed]}


def _complete(
    api: ClusterAPI, job: Object, status: Object, active: list[Object], terminating: list[Object]
) -> float | None:
    why = ("CompletionsReached", "Reached expected number of succeeded pods")
    status.update(_with_condition(api, job, status, "SuccessCriteriaMet", why, announce=""))
    for pod in active:
        delete_pod(api, job, pod, component=COMPONENT)
    if not active and not terminating:
        status.update(_with_condition(api, job, status, "Complete", why, announce="Normal"))
        status.setdefault("completionTime", now())
    return None


def _create_missing(
    api: ClusterAPI, job: Object, status: Object, pods: list[Object], active: int, terminating: int
) -> tuple[list[Object], float | None]:
    """Create the pods that should be running; says which, and the seconds to wait where a failure asks for that."""
    missing = min(job["spec"].get("parallelism", 1), _completions(job) - status.get("succeeded", 0)) - active
    if job["spec"].get("podReplacementPolicy") == "Failed":
        missing -= terminating
    if missing <= 0:
        return [], None
    failed = [pod for pod in pods if pod["status"].get("phase") == "Failed" and not _was_let_go(pod)]
    ends = [
        each["state"]["terminated"]["finishedAt"]
        for pod in failed
        for each in pod["status"].get("containerStatuses", ())
        if "terminated" in each.get("state", {})
    ]
    if ends:
        pause = min(JOB_BACKOFF_SECONDS * 2 ** (len(failed) - 1), JOB_BACKOFF_LIMIT_SECONDS)
        left = pause - seconds_since(max(ends))
        if left > 0:
            return [], left
    created = []
    for _ in range(missing):
        pod = pod_from(job["spec"]["template"], job, finalizers=[TRACKING])
        created.append(create_pod(api, job, pod, component=COMPONENT))
    return created, None


def _next_look(job: Object, again: float | None) -> float | None:
    if finished_at(job):
        return job["spec"].get("ttlSecondsAfterFinished")
    deadline = job["spec"].get("activeDeadlineSeconds")
    if deadline is None or "startTime" not in job["status"]:
        return again
    left = max(0.1, deadline - seconds_since(job["status"]["startTime"]))
    return left if again is None else min(again, left)
