"""Controllers that are too small for a module of their own: tokens, autoscalers, disruption budgets, cron jobs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    is_controlled_by,
    is_pod_ready,
    key_of,
    matches,
    now,
    own_key,
    owner_reference,
    reconcile_loop,
    update_status,
)
from demo.cluster.copies import copied

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

TOKEN_TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
BUDGETS = "poddisruptionbudgets.policy"
CRON_JOBS = "cronjobs.batch"
SCALED = {"Deployment": "deployments.apps", "StatefulSet": "statefulsets.apps", "ReplicaSet": "replicasets.apps"}


async def run_tokens(api: ClusterAPI) -> None:
    """Fill Secrets that ask for a ServiceAccount's token, for ever."""
    await reconcile_loop(api, {"secrets": own_key}, fill_token)


def fill_token(api: ClusterAPI, key: Key) -> float | None:
    """Put the token, the namespace and the authority into the Secret; one of an account that is gone is deleted."""
    secret = find(api, "secrets", *key)
    if secret is None or secret.get("type") != TOKEN_TYPE:
        return None
    annotations = secret["metadata"].get("annotations", {})
    name = annotations.get(ACCOUNT_NAME, "")
    account = find(api, "serviceaccounts", key[0], name) if name else None
    if account is None:
        # It may be made after its Secret.
        return 1.0 if name else None
    if annotations.get(ACCOUNT_UID, account["metadata"]["uid"]) != account["metadata"]["uid"]:
        delete_quietly(api, "secrets", secret)
        return None
    if "token" in (secret.get("data") or {}):
        return None
    secret["metadata"]["annotations"][ACCOUNT_UID] = account["metadata"]["uid"]
    authority = api.state / "ca.crt"
    values = {
        "ca.crt": authority.read_bytes() if authority.exists() else b"",
        "namespace": str(key[0]).encode(),
        "token": api.service_account_token(str(key[0]), name).encode(),
    }
    secret["data"] = {
        **(secret.get("data") or {}),
        **{field: base64.b64encode(value).decode() for field, value in values.items()},
    }
    api.update("secrets", secret)
    return None


async def run_autoscalers(api: ClusterAPI) -> None:
    """Report what autoscalers see, for ever; without metrics they never scale."""
    await reconcile_loop(api, {AUTOSCALERS: own_key}, report_autoscaler)


def report_autoscaler(api: ClusterAPI, key: Key) -> float | None:
    """The status of one HorizontalPodAutoscaler."""
    scaler = find(api, AUTOSCALERS, *key)
    if scaler is None:
        return None
    reference = scaler["spec"]["scaleTargetRef"]
    target = find(api, SCALED.get(reference["kind"], "deployments.apps"), key[0], reference["name"])
    replicas = target["spec"].get("replicas", 1) if target else 0
    able: Object = {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale"}
    able["message"] = "the HPA controller was able to get the target's current scale"
    if target is None:
        able |= {"status": "False", "reason": "FailedGetScale"}
        able["message"] = (
            f'the HPA controller was unable to get the target\'s current scale: "{reference["name"]}" not found'
        )
    before = {each["type"]: each for each in scaler.get("status", {}).get("conditions", ())}
    old = before.get("AbleToScale")
    able["lastTransitionTime"] = old["lastTransitionTime"] if old and old["status"] == able["status"] else now()
    status: Object = {"desiredReplicas": replicas, "currentMetrics": None, "conditions": [able]}
    if replicas:
        status["currentReplicas"] = replicas
    update_status(api, AUTOSCALERS, scaler, status)
    return None


async def run_budgets(api: ClusterAPI) -> None:
    """Report what disruption budgets allow, for ever."""

    def budgets_of_pod(pod: Object) -> list[Key]:
        return [key_of(budget) for budget in api.list(BUDGETS, pod["metadata"]["namespace"])]

    await reconcile_loop(api, {BUDGETS: own_key, "pods": budgets_of_pod}, report_budget)


def report_budget(api: ClusterAPI, key: Key) -> float | None:
    """The status of one PodDisruptionBudget."""
    budget = find(api, BUDGETS, *key)
    if budget is None:
        return None
    selector = budget["spec"].get("selector")
    pods = [pod for pod in api.list("pods", key[0]) if matches(selector, pod["metadata"].get("labels", {}))]
    healthy, expected = sum(is_pod_ready(pod) for pod in pods), len(pods)
    if "maxUnavailable" in budget["spec"]:
        desired = max(0, expected - _share(budget["spec"]["maxUnavailable"], expected))
    else:
        desired = _share(budget["spec"].get("minAvailable", 1), expected)
    allowed = max(0, healthy - desired)
    before = next(iter(budget.get("status", {}).get("conditions", ())), None)
    state = "True" if allowed else "False"
    condition = {
        "type": "DisruptionAllowed",
        "status": state,
        "observedGeneration": budget["metadata"].get("generation", 1),
        "lastTransitionTime": before["lastTransitionTime"] if before and before["status"] == state else now(),
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    status = {
        "observedGeneration": budget["metadata"].get("generation", 1),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": [condition],
    }
    update_status(api, BUDGETS, budget, status)
    return None


def _share(value: str | int, whole: int) -> int:
    return -(-whole * int(value[:-1]) // 100) if isinstance(value, str) and value.endswith("%") else int(value)


async def run_cron_jobs(api: ClusterAPI) -> None:
    """Start the Jobs of CronJobs when they are due, for ever."""
    await reconcile_loop(api, {CRON_JOBS: own_key}, start_due_job)


def start_due_job(api: ClusterAPI, key: Key) -> float | None:
    """Start the CronJob's Job if its minute has come; the seconds until the next minute."""
    cron = find(api, CRON_JOBS, *key)
    if cron is None or cron["spec"].get("suspend") or "deletionTimestamp" in cron["metadata"]:
        return None
    moment = datetime.now(UTC).replace(second=0, microsecond=0)
    name = f"{cron['metadata']['name']}-{int(moment.timestamp()) // 60}"
    created = datetime.fromisoformat(cron["metadata"]["creationTimestamp"])
    if moment > created and is_due(cron["spec"]["schedule"], moment) and find(api, "jobs.batch", key[0], name) is None:
        _start_job(api, cron, name, moment)
    return 60 - datetime.now(UTC).second + 0.1


def _start_job(api: ClusterAPI, cron: Object, name: str, moment: datetime) -> None:
    jobs = api.list("jobs.batch", cron["metadata"]["namespace"], where=lambda each: is_controlled_by(each, cron))
    active = [each for each in jobs if each.get("status", {}).get("active")]
    if active and cron["spec"].get("concurrencyPolicy") == "Forbid":
        return
    template = copied(cron["spec"]["jobTemplate"])
    metadata = {**template.get("metadata", {}), "name": name, "namespace": cron["metadata"]["namespace"]}
    metadata["ownerReferences"] = [owner_reference(cron)]
    job = api.create(
        "jobs.batch",
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]},
    )
    message = f"Created job {name}"
    api.record_event(cron, "Normal", "SuccessfulCreate", message, component="cronjob-controller")
    reference = {"kind": "Job", "namespace": metadata["namespace"], "name": name, "apiVersion": "batch/v1"}
    status = {
        "active": [{**reference, "uid": job["metadata"]["uid"]}],
        "lastScheduleTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    update_status(api, CRON_JOBS, cron, {**cron.get("status", {}), **status})


def is_due(schedule: str, moment: datetime) -> bool:
    """Whether the minute is one that the schedule (five fields, or @hourly and the like) names."""
    named = {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
    }
    minute, hour, day, month, weekday = named.get(schedule, schedule).split()
    on_day = _in_field(day, moment.day, 1)
    on_weekday = _in_field(weekday, (moment.weekday() + 1) % 7, 0)
    day_fits = on_day or on_weekday if day != "*" and weekday != "*" else on_day and on_weekday
    return (
        _in_field(minute, moment.minute, 0)
        and _in_field(hour, moment.hour, 0)
        and _in_field(month, moment.month, 1)
        and day_fits
    )


def _in_field(field: str, value: int, lowest: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            start, end = lowest, 10**6
        else:
            start = int(first)
            end = int(last) if last else (10**6 if step else start)
        if start <= value <= end and (value - start) % int(step or 1) == 0:
            return True
    return False
