"""The admission plugin PodSecurity: what a namespace's level keeps out, in the words of the real one.

After https://kubernetes.io/docs/concepts/security/pod-security-standards/, as far as Linux pods of today's API go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
ENFORCE, WARN = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"
REPLACED = ("non-default capabilities", "hostPath volumes", "seccompProfile")
# Where the pod spec is in the kinds that are warned of.
OF_WORKLOAD = ("spec", "template", "spec")
TEMPLATES = {
    "pods": ("spec",),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(("deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps"), OF_WORKLOAD),
    **dict.fromkeys(("jobs.batch", "replicationcontrollers"), OF_WORKLOAD),
}
# What `baseline` lets pods add.
DEFAULT_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def violation(namespace: Object, spec: Object) -> str:
    """Why the namespace lets no pod of this spec in; empty where it does."""
    found = _violated(namespace, spec, ENFORCE)
    return f"violates {found}" if found else ""


def warnings(namespace: Object, resource: str, obj: Object) -> list[str]:
    """What is said to whoever makes a pod, or a workload that makes some."""
    spec: Any = obj
    for name in TEMPLATES.get(resource, ("",)):
        spec = (spec or {}).get(name)
    found = _violated(namespace, spec, WARN) if spec else ""
    return [f"would violate {found}"] if found else []


def _violated(namespace: Object, spec: Object, label: str) -> str:
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get(label, "privileged")
    if level not in ("baseline", "restricted"):
        return ""
    found = list(_baseline(spec))
    if level == "restricted":
        # Stricter checks stand in the place of these.
        found = [each for each in found if not each.startswith(REPLACED)] + list(_restricted(spec))
    version = labels.get(f"{label}-version", "latest")
    return f'PodSecurity "{level}:{version}": {", ".join(found)}' if found else ""


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _context(owner: Object) -> Object:
    return owner.get("securityContext") or {}


def _named(containers: list[Object], verb: str) -> str:
    names = ", ".join(json.dumps(each["name"]) for each in containers)
    return f"{'containers' if len(containers) > 1 else 'container'} {names} {verb}"


def _baseline(spec: Object) -> Iterator[str]:
    host = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if host:
        yield f"host namespaces ({', '.join(host)})"
    containers = _containers(spec)
    if privileged := [each for each in containers if _context(each).get("privileged")]:
        yield f"privileged ({_named(privileged, 'must not set securityContext.privileged=true')})"
    for each in containers:
        added = (_context(each).get("capabilities") or {}).get("add") or ()
        if wrong := sorted(set(added) - DEFAULT_CAPABILITIES):
            listed = ", ".join(json.dumps(name) for name in wrong)
            said = f"must not include {listed} in securityContext.capabilities.add"
            yield f"non-default capabilities ({_named([each], said)})"
    if paths := [each["name"] for each in spec.get("volumes") or () if "hostPath" in each]:
        yield f"hostPath volumes (volume {', '.join(json.dumps(name) for name in paths)})"
    if _seccomp(spec) == "Unconfined":
        yield 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'


def _restricted(spec: Object) -> Iterator[str]:
    containers = _containers(spec)
    if wrong := [each for each in containers if _context(each).get("allowPrivilegeEscalation") is not False]:
        said = _named(wrong, "must set securityContext.allowPrivilegeEscalation=false")
        yield f"allowPrivilegeEscalation != false ({said})"
    for each in containers:
        capabilities = _context(each).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            said = _named([each], 'must set securityContext.capabilities.drop=["ALL"]')
            yield f"unrestricted capabilities ({said})"
        if added := sorted(set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}):
            listed = ", ".join(json.dumps(name) for name in added)
            said = _named([each], f"must not include {listed} in securityContext.capabilities.add")
            yield f"unrestricted capabilities ({said})"
    for volume in spec.get("volumes") or ():
        for kind in volume.keys() - {"name"} - RESTRICTED_VOLUMES:
            yield f'restricted volume types (volume {json.dumps(volume["name"])} uses restricted volume type "{kind}")'
    pod = _context(spec)
    if wrong := [each for each in containers if not _context(each).get("runAsNonRoot", pod.get("runAsNonRoot"))]:
        yield f"runAsNonRoot != true (pod or {_named(wrong, 'must set securityContext.runAsNonRoot=true')})"
    if pod.get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    if wrong := [each for each in containers if _context(each).get("runAsUser") == 0]:
        yield f"runAsUser=0 ({_named(wrong, 'must not set runAsUser=0')})"
    allowed = ("RuntimeDefault", "Localhost")
    if wrong := [each for each in containers if (_seccomp(each) or _seccomp(spec)) not in allowed]:
        said = _named(wrong, 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"')
        yield f"seccompProfile (pod or {said})"


def _seccomp(owner: Object) -> str:
    return str((_context(owner).get("seccompProfile") or {}).get("type") or "")
