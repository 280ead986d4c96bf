"""With which power a mover's pod runs: as much as it needs, and no more than its namespace lets in.

Three answers, from what keeps everything to what keeps the least:

    root         root with the few capabilities that reading, or giving back, every file takes
    baseline     the same under the Pod Security level `baseline`, which lets in all of these but DAC_READ_SEARCH
    restricted   no root and no capability, under Pod Security `restricted` or without a permissive SCC on OpenShift
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from clusters.texts import NOTHING, Text, said
from migrations_app.resources.preflight.scc import unfit

Object = dict[str, Any]
Direction = Literal["push", "pull"]
DIRECTIONS: tuple[Direction, Direction] = ("push", "pull")
Level = Literal["root", "baseline", "restricted"]
ENFORCE = "pod-security.kubernetes.io/enforce"
# OpenShift's ranges, such as 1000680000/10000 (first id and how many) or 1000680000-1000689999.
UID_RANGE = "openshift.io/sa.scc.uid-range"
GROUP_RANGE = "openshift.io/sa.scc.supplemental-groups"
# The level that OpenShift gives to the pods of a namespace, such as s0:c26,c5.
SELINUX_LEVEL = "openshift.io/sa.scc.mcs"
# For a namespace where nothing says which id the application has: the `nonroot` of common images.
NOBODY = 65532

# To read every file, whoever owns it, and on the destination to give it back to its owner with its modes, attributes
# and capabilities. Nothing else.
CAPABILITIES: dict[Direction, list[str]] = {
    "push": ["DAC_READ_SEARCH"],
    "pull": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"],
}
# DAC_READ_SEARCH is not among those that `baseline` lets in. DAC_OVERRIDE reads as much, and the mount is read-only.
BASELINE_CAPABILITIES: dict[Direction, list[str]] = {"push": ["DAC_OVERRIDE"], "pull": CAPABILITIES["pull"]}
# What movers mount.
VOLUMES = ("persistentVolumeClaim", "secret", "emptyDir")


@dataclass(frozen=True)
class Power:
    """What the mover's pod may do, and `why` it is not more; empty where it is all."""

    level: Level
    uid: int = 0
    # The group of a fresh volume, so that somebody who is not root can write to it; None leaves volumes as they are.
    fs_group: int | None = None
    groups: tuple[int, ...] = ()
    why: Text = NOTHING
    # The application's. With another one the kubelet labels the volume anew, and its pods cannot read it any more.
    selinux_level: str = ""

    @property
    def keeps_everything(self) -> bool:
        return self.level != "restricted"


def decide(
    direction: Direction,
    namespace: Object,
    pods: Iterable[Object] = (),
    *,
    refuses_root: bool = False,
    most: Level = "root",
    refusal: str = "",
) -> Power:
    """The power of a mover in the namespace.

    `pods` are those that use the claim, or would: objects with a pod's spec. `refuses_root` says that OpenShift lets
    no root into this namespace, `most` what else the cluster lets in there, and `refusal` what it said against more.
    """
    pods = list(pods)
    power = _decide(direction, namespace, pods, refuses_root=refuses_root, most=most, refusal=refusal)
    return replace(power, selinux_level=_selinux_level(direction, namespace, pods))


def _selinux_level(direction: Direction, namespace: Object, pods: list[Object]) -> str:
    # Those of the source's pods are theirs, but on the destination they get that of the namespace there.
    of_pods = [str((_context(pod).get("seLinuxOptions") or {}).get("level") or "") for pod in pods]
    of_namespace = str((namespace["metadata"].get("annotations") or {}).get(SELINUX_LEVEL) or "")
    return next(filter(None, [*of_pods, of_namespace] if direction == "push" else [of_namespace, *of_pods]), "")


def _decide(
    direction: Direction, namespace: Object, pods: list[Object], *, refuses_root: bool, most: Level, refusal: str
) -> Power:
    enforced = (namespace["metadata"].get("labels") or {}).get(ENFORCE, "")
    if enforced == "restricted":
        why = said("the namespace enforces the Pod Security level restricted")
    elif refuses_root:
        why = said("no SecurityContextConstraints let the namespace's default service account run as root")
    elif most == "restricted":
        why = said("the cluster lets no other pods into the namespace ({refusal})", refusal=refusal.rstrip("."))
    elif "baseline" in (enforced, most):
        return Power("baseline")
    else:
        return Power("root")
    annotations = namespace["metadata"].get("annotations") or {}
    first_uid, first_group = _first(annotations.get(UID_RANGE)), _first(annotations.get(GROUP_RANGE))
    uid = next((each for pod in pods for each in _uids(pod)), None) or first_uid or NOBODY
    group = next((each for pod in pods if (each := _context(pod).get("fsGroup")) is not None), None)
    groups = {each for pod in pods for each in _context(pod).get("supplementalGroups") or ()}
    if direction == "push":
        # As a mere member of the group: an fsGroup could make the kubelet change the files of the source.
        groups |= set() if group is None else {group}
        return Power("restricted", uid, None, tuple(sorted(groups)), why)
    fs_group = group if group is not None else first_group or first_uid or uid
    return Power("restricted", uid, fs_group, tuple(sorted(groups - {fs_group})), why)


def is_permissive(constraints: Object) -> bool:
    """Whether OpenShift's SecurityContextConstraints let in the movers' pods of the level `root`."""
    power = Power("root")
    containers = [{"securityContext": container_context(each, power)} for each in DIRECTIONS]
    volumes = [{"name": each, each: {}} for each in VOLUMES]
    spec = {"securityContext": pod_context(power), "containers": containers, "volumes": volumes}
    return not unfit(constraints, spec, range(0))


def pod_context(power: Power) -> Object:
    """The securityContext of the pod."""
    context: Object = {"runAsUser": power.uid, "seccompProfile": {"type": "RuntimeDefault"}}
    if power.selinux_level:
        context["seLinuxOptions"] = {"level": power.selinux_level}
    if power.keeps_everything:
        # No fsGroup: with one the kubelet would give all files of the volume to that group.
        return context
    context["runAsNonRoot"] = True
    if power.fs_group is not None:
        context |= {"fsGroup": power.fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    if power.groups:
        context["supplementalGroups"] = list(power.groups)
    return context


def container_context(direction: Direction, power: Power, *, raw: bool = False) -> Object:
    """The securityContext of the mover's container. A `raw` device belongs to root, who needs no capability for it."""
    added = {"root": CAPABILITIES, "baseline": BASELINE_CAPABILITIES, "restricted": {}}[power.level].get(direction, [])
    added = [] if raw else added
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], **({"add": added} if added else {})},
    }


def what_is_lost(direction: Direction, power: Power, *, raw: bool = False) -> Text:
    """What people have to know of a mover without root, as one or two sentences; empty where there is nothing."""
    if power.keeps_everything:
        return NOTHING
    values = {"why": power.why, "uid": power.uid}
    if raw:
        return said(
            "The mover opens the raw device as user {uid}, because {why}. That works only on nodes whose "
            "container runtime gives devices to the pod's user (device_ownership_from_security_context).",
            **values,
        )
    if direction == "push":
        return said(
            "The mover reads as user {uid}, because {why}. A file that this user may not read stops the migration.",
            **values,
        )
    return said(
        "The mover writes as user {uid}, because {why}. Owners other than this one, devices and privileged "
        "attributes are not kept; what that concerns is listed with the volume.",
        **values,
    )


def _context(pod: Object) -> Object:
    return (pod.get("spec") or {}).get("securityContext") or {}


def _uids(pod: Object) -> list[int]:
    """The users that the pod's containers are told to run as, but for root."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    found = [(each.get("securityContext") or {}).get("runAsUser") for each in containers]
    return [each for each in [*found, _context(pod).get("runAsUser")] if each]


def _first(text: str | None) -> int | None:
    """The first id of a range of OpenShift's."""
    digits = (text or "").split(",")[0].split("/")[0].split("-")[0].strip()
    return int(digits) if digits.isdigit() else None
