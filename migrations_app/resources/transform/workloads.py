"""Workloads: what controllers wrote into them, and what holds for their pods."""

from __future__ import annotations

from migrations_app.resources.shapes import items, pod_specs, section
from migrations_app.resources.transform.options import Object, Options

JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
# Tell one generation of pods from another; whoever makes pods there writes its own.
POD_LABELS = (
    "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
)  # fmt: skip


def job(obj: Object, options: Options, source: Object) -> None:
    """The controller's uid selects pods; a new Job gets a new one (velero job_action.go)."""
    spec = section(obj, "spec")
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    for labels in (section(obj, "metadata", "labels"), section(spec, "template", "metadata", "labels")):
        for name in JOB_LABELS:
            labels.pop(name, None)


def pod_templates(obj: Object, options: Options, source: Object) -> None:
    """A template names no node of the source, and was made at no time."""
    for names in (("spec", "template"), ("spec", "jobTemplate"), ("spec", "jobTemplate", "spec", "template")):
        section(obj, *names, "metadata").pop("creationTimestamp", None)
    for _at, spec in pod_specs(obj):
        spec.pop("nodeName", None)


def pod(obj: Object, options: Options, source: Object) -> None:
    """A bare Pod that was named to go along: what admission added is added again (velero pod_action.go)."""
    for name in POD_LABELS:
        section(obj, "metadata", "labels").pop(name, None)
    spec = section(obj, "spec")
    for name in ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers"):
        spec.pop(name, None)
    injected = {each.get("name") for each in items(spec, "volumes") if _is_token(each, spec)}
    if not injected:
        return
    spec["volumes"] = [each for each in items(spec, "volumes") if each.get("name") not in injected]
    for group in ("containers", "initContainers"):
        for container in items(spec, group):
            mounts = items(container, "volumeMounts")
            container["volumeMounts"] = [each for each in mounts if each.get("name") not in injected]


def _is_token(volume: Object, spec: Object) -> bool:
    account = spec.get("serviceAccountName") or "default"
    return str(volume.get("name")).startswith(("kube-api-access-", f"{account}-token-"))
