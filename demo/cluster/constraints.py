"""OpenShift's admission of pods by SecurityContextConstraints, in the words of the real one.

A pod is let in by the first constraints, in the order of priority and strictness, that its creator or its account may
use and that it meets once what it leaves open is filled in; the annotation `openshift.io/scc` says by which. A cluster
that has no constraints is none of OpenShift's, and lets all in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from demo.cluster import authentication, rbac, statuses
from demo.cluster.copies import copied
from demo.cluster.registry import ResourceInfo

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
GROUP, PLURAL = "security.openshift.io", "securitycontextconstraints"
USED = "openshift.io/scc"
UIDS, GROUPS = "openshift.io/sa.scc.uid-range", "openshift.io/sa.scc.supplemental-groups"
LEVEL = "openshift.io/sa.scc.mcs"
UNUSABLE = "Forbidden: not usable by user or serviceaccount"
# Fields of the pod, what has to allow them, and how they are called.
HOST = (
    ("hostNetwork", "allowHostNetwork", "Host network is"),
    ("hostPID", "allowHostPID", "Host PID is"),
    ("hostIPC", "allowHostIPC", "Host IPC is"),
)


def admit(api: ClusterAPI, info: ResourceInfo, pod: Object, user: str) -> None:
    """Fill in the pod's security context. Raises APIError for a pod that no constraints let in."""
    found = sorted(api.store.objects(f"{PLURAL}.{GROUP}"), key=_place)
    namespace = api.store.get("namespaces", "", pod["metadata"]["namespace"]) or {"metadata": {}}
    exempt = (namespace["metadata"].get("labels") or {}).get("openshift.io/run-level") in ("0", "1")
    if not found or exempt:
        return
    annotations = namespace["metadata"].get("annotations") or {}
    account = f"system:serviceaccount:{pod['metadata']['namespace']}:{pod['spec']['serviceAccountName']}"
    users = [authentication.named(each) for each in (account, user) if each]
    refused: list[str] = []
    for each in found:
        name = each["metadata"]["name"]
        if not any(_may_use(api, each, one, pod["metadata"]["namespace"]) for one in users):
            refused.append(f'provider "{name}": {UNUSABLE}')
            continue
        spec = copied(pod["spec"])
        _fill(spec, each, annotations)
        wrong = list(_wrong(spec, each, annotations))
        if not wrong:
            pod["spec"] = spec
            metadata = pod["metadata"]
            metadata["annotations"] = {**(metadata.get("annotations") or {}), USED: name}
            return
        refused += [why if why.startswith("spec.volumes") else f"provider {name}: {why}" for why in wrong]
    why = f"unable to validate against any security context constraint: [{', '.join(refused)}]"
    raise statuses.forbidden(info, pod["metadata"]["name"], why)


def _place(constraints: Object) -> tuple[int, int, str]:
    """The most important first, of these the strictest (sccsort.ByPriority)."""
    strategy = (constraints.get("runAsUser") or {}).get("type")
    points = 1_000_000 * bool(constraints.get("allowPrivilegedContainer"))
    points += 100_000 * bool(constraints.get("allowHostDirVolumePlugin"))
    points += {"RunAsAny": 40_000, "MustRunAsNonRoot": 30_000, "MustRunAsRange": 20_000}.get(str(strategy), 10_000)
    points += 1_000 * (constraints.get("allowPrivilegeEscalation") is not False)
    return -(constraints.get("priority") or 0), points, constraints["metadata"]["name"]


def _may_use(api: ClusterAPI, constraints: Object, user: authentication.User, namespace: str) -> bool:
    if user.name in (constraints.get("users") or ()) or set(user.groups) & set(constraints.get("groups") or ()):
        return True
    return rbac.allowed(api, user, rbac.Attributes("use", GROUP, PLURAL, namespace, constraints["metadata"]["name"]))


def _range(annotation: str | None) -> range:
    """Such as `1000680000/10000`, or `1000680000-1000689999`; the first of several."""
    first, size, count = (annotation or "").partition(",")[0].partition("/")
    if size:
        return range(int(first), int(first) + int(count))
    least, _to, most = first.partition("-")
    return range(int(least or 0), int(most or -1) + 1)


def _containers(spec: Object) -> Iterator[tuple[str, Object]]:
    for field in ("initContainers", "containers"):
        for index, each in enumerate(spec.get(field) or ()):
            yield f".{field}[{index}]", each


def _strategy(constraints: Object, name: str) -> str:
    return str((constraints.get(name) or {}).get("type"))


def _fill(spec: Object, constraints: Object, annotations: Object) -> None:
    """What the pod leaves open, as the constraints want it."""
    context = spec["securityContext"] = {**(spec.get("securityContext") or {})}
    groups = _range(annotations.get(GROUPS) or annotations.get(UIDS))
    if _strategy(constraints, "fsGroup") == "MustRunAs" and groups:
        context.setdefault("fsGroup", groups.start)
    if _strategy(constraints, "seLinuxContext") == "MustRunAs" and annotations.get(LEVEL):
        context.setdefault("seLinuxOptions", {"level": annotations[LEVEL]})
    if "runtime/default" in (constraints.get("seccompProfiles") or ()):
        context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    user = _strategy(constraints, "runAsUser")
    dropped = constraints.get("requiredDropCapabilities") or []
    for _path, each in _containers(spec):
        own = each["securityContext"] = {**(each.get("securityContext") or {})}
        if user == "MustRunAsRange" and "runAsUser" not in context:
            own.setdefault("runAsUser", _range(annotations.get(UIDS)).start)
        if user in ("MustRunAsRange", "MustRunAsNonRoot") and "runAsNonRoot" not in context:
            own.setdefault("runAsNonRoot", True)
        if constraints.get("allowPrivilegeEscalation") is False:
            own.setdefault("allowPrivilegeEscalation", False)
        if dropped:
            capabilities = own.get("capabilities") or {}
            drop = [*(capabilities.get("drop") or ()), *dropped]
            own["capabilities"] = {**capabilities, "drop": list(dict.fromkeys(drop))}


def _wrong(spec: Object, constraints: Object, annotations: Object) -> Iterator[str]:
    """What of the pod the constraints do not allow."""
    context = spec["securityContext"]
    groups = _range(annotations.get(GROUPS) or annotations.get(UIDS))
    group = context.get("fsGroup")
    if _strategy(constraints, "fsGroup") == "MustRunAs" and group is not None and group not in groups:
        yield f".spec.securityContext.fsGroup: Invalid value: []int64{{{group}}}: {group} is not an allowed group"
    for field, allowed, words in HOST:
        if spec.get(field) and not constraints.get(allowed):
            yield f".spec.securityContext.{field}: Invalid value: true: {words} not allowed to be used"
    volumes = constraints.get("volumes") or ()
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in volume.keys() - {"name"}:
            if "*" not in volumes and kind not in volumes:
                what = f'Invalid value: "{kind}": {kind} volumes are not allowed to be used'
                yield f"spec.volumes[{index}]: {what}"
    for path, each in _containers(spec):
        yield from (f"{path}{why}" for why in _wrong_container(each, context, constraints, annotations))


def _wrong_container(container: Object, pod: Object, constraints: Object, annotations: Object) -> Iterator[str]:
    context = container["securityContext"]
    user, ids = context.get("runAsUser", pod.get("runAsUser")), _range(annotations.get(UIDS))
    match _strategy(constraints, "runAsUser"):
        case "MustRunAsRange" if user not in ids:
            ends = f"[{ids.start}, {ids.stop - 1}]"
            yield f".runAsUser: Invalid value: {user}: must be in the ranges: {ends}"
        case "MustRunAsNonRoot" if user == 0:
            yield ".runAsUser: Invalid value: 0: running with the root UID is forbidden"
    if context.get("privileged") and not constraints.get("allowPrivilegedContainer"):
        yield ".privileged: Invalid value: true: Privileged containers are not allowed"
    allowed = {*(constraints.get("allowedCapabilities") or ()), *(constraints.get("defaultAddCapabilities") or ())}
    for name in (context.get("capabilities") or {}).get("add") or ():
        if name not in allowed and "*" not in allowed:
            yield f'.capabilities.add: Invalid value: "{name}": capability may not be added'
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort") and not constraints.get("allowHostPorts"):
            what = f"Invalid value: {port['hostPort']}: Host ports are not allowed to be used"
            yield f".containers[{index}].hostPort: {what}"
    if context.get("allowPrivilegeEscalation") and constraints.get("allowPrivilegeEscalation") is False:
        what = "Allowing privilege escalation for containers is not allowed"
        yield f".allowPrivilegeEscalation: Invalid value: true: {what}"
