"""A volume's two movers, in Jobs of their own or shared with other volumes: started together, looked at, ended.

What a mover says comes on its log, a JSON object per line, and its last word also as the termination message of its
container; both outlive the process.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.native import holding, keys, manifests, pod_options
from migrations_app.engines.native.privileges import Direction, Power
from migrations_app.engines.native.settling import Surroundings
from migrations_app.models import Migration, MigrationVolume
from migrations_app.resources.marks import VOLUME_LABEL

Object = dict[str, Any]
JOBS = "jobs.batch"
JOB_UID = "batch.kubernetes.io/controller-uid"
SECOND = 1.0
# What has been there this long and does not run has a reason that people want to know.
JOB_PATIENCE, POD_PATIENCE = 5 * SECOND, 10 * SECOND
# The mover's exit code when it was asked to stop.
STOPPED = 143
ORDINARY_WAITS = {"", "ContainerCreating", "PodInitializing"}


@dataclass(frozen=True)
class Mover:
    """One volume's mover at one look: its container in the pods of its Job, which others may share.

    `job` is None where there is none; `pod` is the one that counts, if any.
    """

    container: str = ""
    job: Object | None = None
    pod: Object | None = None
    failed_pods: list[Object] = field(default_factory=list)

    @property
    def is_going(self) -> bool:
        """Whether the Job is being deleted: it has to be gone before another one can take its name."""
        return self.job is not None and "deletionTimestamp" in self.job["metadata"]

    @property
    def has_succeeded(self) -> bool:
        """Whether the mover has, however its company fares."""
        if self.pod is not None and _exit_code(self.pod, self.container) == 0:
            return True
        return self._condition("Complete") is not None or self._condition("SuccessCriteriaMet") is not None

    @property
    def has_failed(self) -> bool:
        """Whether it will not be tried again. One that has succeeded may be in a Job that others made fail."""
        if self.has_succeeded:
            return False
        if self.failed_pods and _exit_code(self.failed_pods[-1], self.container) in manifests.HOPELESS_EXIT_CODES:
            return True
        return self._condition("Failed") is not None

    @property
    def is_running(self) -> bool:
        return self.pod is not None and _state(self.pod, self.container, "running") is not None

    @property
    def is_held(self) -> bool:
        """Whether a pause of ours holds its Job."""
        return self.job is not None and holding.is_held(self.job)

    @property
    def began(self) -> datetime | None:
        """When the cluster last began with its Job, which a resumed one does anew; None where it has yet to."""
        job = self.job or {"metadata": {}}
        status = job.get("status") or {}
        if self._condition("Suspended") and not job["spec"].get("suspend"):
            return None
        began = status.get("startTime") or job["metadata"].get("creationTimestamp")
        return datetime.fromisoformat(began) if began else None

    def result(self) -> Object | None:
        """What the mover said at its successful end; None where nobody kept it."""
        return None if self.pod is None else parse(_last_words(self.pod, self.container)).get("result")

    def failure(self) -> str:
        """Why the last pod that failed did, in the mover's own words where it had any."""
        if self.failed_pods:
            return _why_failed(self.failed_pods[-1], self.container)
        condition = self._condition("Failed") or {}
        return str(condition.get("message") or "The Job failed, and no pod of it is left to ask.")

    def _condition(self, kind: str) -> Object | None:
        conditions = ((self.job or {}).get("status") or {}).get("conditions") or ()
        return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)


def selector(migration: Migration) -> str:
    """Selects the migration's movers, their pods and Secrets: only they are of a volume."""
    return f"{manifests.MIGRATION_LABEL}={migration.pk},{VOLUME_LABEL}"


def ensure(
    connection: Connection, direction: Direction, migration: Migration, volume: MigrationVolume, around: Surroundings
) -> Power | None:
    """Make the volume's Job and the Secrets of all volumes in it unless they are there; repeating is safe.

    Returns the power of a Job that was made. Raises KubeError.
    """
    name, namespace = manifests.job_name(direction, volume), volume.namespace_of(direction)
    carried = _carried(direction, migration, volume)
    power: Power | None = None
    try:
        job = connection.get(JOBS, name, namespace)
    except errors.NotFound:
        settled = around.settle(direction, carried[0])
        power = settled.power
        try:
            job = connection.create(JOBS, manifests.job(direction, migration, carried, power, settled.placement))
        except errors.AlreadyExists:
            job = connection.get(JOBS, name, namespace)
    # The Job comes first because it owns the Secrets; its pod waits until they are there.
    ensure_pull_secret(connection, job, manifests.labels(migration, volume))
    for each in carried:
        temporary = manifests.has_temporary_keys(job, each)
        if temporary and not _has_secret(connection, manifests.keys_name(direction, each), namespace, job):
            made = keys.make(direction, migration, each)
            ensure_secret(connection, manifests.keys_secret(direction, migration, each, job, made))
        ensure_secret(connection, manifests.secret(direction, migration, each, job, temporary=temporary))
    return power


def _has_secret(connection: Connection, name: str, namespace: str, owner: Object) -> bool:
    """Whether the Job has its Secret, and not an earlier Job's."""
    try:
        found = connection.get("secrets", name, namespace)
    except errors.NotFound:
        return False
    return any(each["uid"] == owner["metadata"]["uid"] for each in found["metadata"].get("ownerReferences") or ())


def _carried(direction: Direction, migration: Migration, volume: MigrationVolume) -> list[MigrationVolume]:
    """The volumes of the Job that carries this one, but for those that have arrived already."""
    name = volume.job_of(direction)
    if not name:
        return [volume]
    digest = "source_digest" if direction == "push" else "destination_digest"
    return list(migration.volumes.filter(**{f"{direction}_job": name, digest: ""}).order_by("pk")) or [volume]


def ensure_pull_secret(connection: Connection, job: Object, labels: dict[str, str]) -> None:
    """Make the Secret with which the Job's image is pulled, where one is needed. Raises KubeError, RetriableError."""
    if secret := pod_options.pull_secret(job, labels):
        ensure_secret(connection, secret)


def ensure_secret(connection: Connection, secret: Object) -> None:
    """Make the Secret unless its Job has it already. Raises KubeError."""
    name, namespace = secret["metadata"]["name"], secret["metadata"]["namespace"]
    try:
        connection.create("secrets", secret)
    except errors.AlreadyExists:
        present = connection.get("secrets", name, namespace)
        if present["metadata"].get("ownerReferences") != secret["metadata"]["ownerReferences"]:
            # An earlier Job's, which goes with it.
            connection.delete("secrets", name, namespace, uid=present["metadata"]["uid"])
            connection.create("secrets", secret)


@dataclass(frozen=True)
class Jobs:
    """The migration's Jobs in one namespace by name, and their pods by the Jobs' uids."""

    jobs: dict[str, Object]
    pods: dict[str, list[Object]]

    def mover(self, direction: Direction, volume: MigrationVolume) -> Mover:
        """The volume's mover among them."""
        return self.named(manifests.job_name(direction, volume), manifests.container_name(volume))

    def named(self, name: str, container: str) -> Mover:
        """The container of the Job of this name."""
        job = self.jobs.get(name)
        if job is None:
            return Mover(container)
        pods = sorted(self.pods.get(job["metadata"]["uid"], ()), key=lambda pod: pod["metadata"]["creationTimestamp"])
        succeeded = [pod for pod in pods if _exit_code(pod, container) == 0]
        failed = [pod for pod in pods if pod not in succeeded and _has_failed(pod, container)]
        alive = [pod for pod in pods if pod not in failed and "deletionTimestamp" not in pod["metadata"]]
        candidates = succeeded or alive
        return Mover(container, job, candidates[-1] if candidates else None, failed)


def jobs_in(connection: Connection, migration: Migration, namespace: str) -> Jobs:
    """The migration's Jobs and pods of one namespace: two requests, whatever their number."""
    jobs = {
        job["metadata"]["name"]: job for job in connection.list(JOBS, namespace, label_selector=selector(migration))
    }
    by_job: dict[str, list[Object]] = {}
    for pod in connection.list("pods", namespace, label_selector=selector(migration)):
        by_job.setdefault((pod["metadata"].get("labels") or {}).get(JOB_UID, ""), []).append(pod)
    return Jobs(jobs, by_job)


def phase_of(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def is_running(pod: Object, container: str) -> bool:
    """Whether the container runs now."""
    return _state(pod, container, "running") is not None


def _state(pod: Object, container: str, kind: str) -> Object | None:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    found: Object = next((each for each in statuses if each["name"] == container), {})
    state: Object | None = (found.get("state") or {}).get(kind)
    return state


def _exit_code(pod: Object, container: str) -> int | None:
    code: int | None = (_state(pod, container, "terminated") or {}).get("exitCode")
    return code


def _has_failed(pod: Object, container: str) -> bool:
    """Whether the container has; one that is not told of shares the fate of its pod, which may have been evicted."""
    if "deletionTimestamp" in pod["metadata"] and _exit_code(pod, container) == STOPPED:
        # It was asked to stop, by a pause or a drained node, and did.
        return False
    return bool(_exit_code(pod, container)) or phase_of(pod) == "Failed"


def _last_words(pod: Object, container: str) -> str:
    return str((_state(pod, container, "terminated") or {}).get("message") or "")


def parse(text: str) -> dict[str, Object]:
    """The last line of each type in the mover's output; other lines are passed over."""
    return {line["type"]: line for line in lines(text)}


def lines(text: str) -> list[Object]:
    """The mover's own lines in its output."""
    found = []
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("type"), str):
            found.append(said)
    return found


def _why_failed(pod: Object, container: str) -> str:
    error = parse(_last_words(pod, container)).get("error")
    if error:
        return str(error.get("message") or error.get("code"))
    ended = _state(pod, container, "terminated")
    if ended is None:
        status = pod.get("status") or {}
        return str(status.get("message") or status.get("reason") or "The pod failed.")
    if ended.get("reason") == "OOMKilled":
        return "The mover ran out of memory and was killed."
    said = str(ended.get("message") or "").strip()[-300:]
    return f"The mover ended with exit code {ended.get('exitCode')}{f': {said}' if said else '.'}"


def why_not_running(connection: Connection, mover: Mover) -> str:
    """What keeps the mover from running, in the cluster's own words; empty while it is only young."""
    if mover.job is None or mover.is_running:
        return ""
    if mover.pod is None:
        return _latest_warning(connection, mover.job) if _age(mover.job) > JOB_PATIENCE else ""
    for condition in (mover.pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    waiting = _state(mover.pod, mover.container, "waiting") or {}
    if waiting.get("reason", "") not in ORDINARY_WAITS:
        # The Secret follows its Job within a moment; that is not worth telling.
        young = waiting["reason"] == "CreateContainerConfigError" and _age(mover.pod) < POD_PATIENCE
        return "" if young else f"{waiting['reason']}: {waiting.get('message', '')}".strip(": ")
    return _latest_warning(connection, mover.pod) if _age(mover.pod) > POD_PATIENCE else ""


def _age(obj: Object) -> float:
    """Seconds since the cluster created it."""
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds()


def _latest_warning(connection: Connection, obj: Object) -> str:
    """The newest warning about the object. What may not be read is not told: it is only an explanation."""
    metadata = obj["metadata"]
    try:
        found = list(
            connection.list(
                "events", metadata["namespace"], field_selector=f"involvedObject.uid={metadata['uid']},type=Warning"
            )
        )
    except errors.Forbidden:
        return ""
    found.sort(key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
    return f"{found[-1].get('reason')}: {found[-1].get('message', '')}" if found else ""


def end(connection: Connection, migration: Migration, namespace: str) -> bool:
    """Delete all of the migration's Jobs and Secrets in the namespace; whether nothing of them, nor a pod, is left."""
    gone = True
    for resource in (JOBS, "secrets"):
        for each in list(connection.list(resource, namespace, label_selector=selector(migration))):
            gone = False
            metadata = each["metadata"]
            if not metadata.get("deletionTimestamp"):
                connection.delete(resource, metadata["name"], namespace, uid=metadata["uid"])
    return gone and next(connection.list("pods", namespace, label_selector=selector(migration)), None) is None
