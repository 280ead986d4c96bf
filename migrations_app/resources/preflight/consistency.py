"""Whether what is read of a volume is of one moment."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.resources.preflight.context import CLASSES, Context, Object, WantedClaim
from migrations_app.resources.preflight.facts import Unreadable
from migrations_app.resources.preflight.result import Check, Result, counted, listed
from migrations_app.resources.references import items, section
from migrations_app.resources.spec import VolumeSnapshots

CONSISTENCY = Check("volume-consistency", "Volumes that are written to while they are read")
HELD = Check("volume-held", "Volumes that another pod can read")
SNAPSHOT_CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"
SCALED = {"ReplicaSet": "deployment", "StatefulSet": "statefulset", "ReplicationController": "deploymentconfig"}


def consistency(context: Context) -> Iterator[Result]:
    """Claims that running pods write to."""
    still = [each for each in context.claims if each.with_data and each.snapshot_class]
    carried = [each for each in context.claims if each.with_data and not each.snapshot_class]
    quiet = 0
    for claim in carried:
        writers = [pod for pod in claim.users if _writes(pod, claim)]
        if not writers:
            quiet += 1
            continue
        names = [f"Pod {pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in writers]
        kind = "a raw device" if claim.mode == "Block" else "read file by file"
        yield CONSISTENCY.warning(
            f"Claim {claim.source_label} is {kind} while {listed(names)} "
            f"{'writes' if len(names) == 1 else 'write'} to it: its parts may then be of different moments. "
            f"{_snapshots(context, claim)}",
            [claim.label, *names],
            why="A database may find files on the destination that do not go together, as after a crash or worse.",
            remedy=_remedy(context),
            command=_stop(context, writers),
        )
    if still:
        several = " Those of several volumes are taken right after one another." if len(still) > 1 else ""
        yield CONSISTENCY.passed(
            f"{counted(len(still), 'claim')} {'is' if len(still) == 1 else 'are'} read from a snapshot: all of it is "
            f"of one moment, as after a power cut.{several}",
            [each.label for each in still],
        )
    if quiet:
        yield CONSISTENCY.passed(f"Nobody writes to {counted(quiet, 'claim')} while data is read.")


def _writes(pod: Object, claim: WantedClaim) -> bool:
    """Whether a pod that runs may write to the claim."""
    if section(pod, "status").get("phase") not in ("Running", "Pending"):
        return False
    spec = pod["spec"]
    volumes = set()
    for volume in items(spec, "volumes"):
        reference = section(volume, "persistentVolumeClaim")
        named = reference.get("claimName") == claim.source_name
        if (named and not reference.get("readOnly")) or (
            "ephemeral" in volume and claim.source_name.endswith(f"-{volume.get('name')}")
        ):
            volumes.add(volume.get("name"))
    containers = [*items(spec, "initContainers"), *items(spec, "containers")]
    mounts = [mount for each in containers for mount in items(each, "volumeMounts") if not mount.get("readOnly")]
    devices = [device for each in containers for device in items(each, "volumeDevices")]
    return any(each.get("name") in volumes for each in [*mounts, *devices])


def _snapshots(context: Context, claim: WantedClaim) -> str:
    """Whether a snapshot could hold a moment still."""
    name = str(section(claim.source, "spec").get("storageClassName") or "")
    try:
        driver = section(context.source.named(CLASSES), name).get("provisioner")
        classes = [
            each["metadata"]["name"] for each in context.source.list(SNAPSHOT_CLASSES) if each.get("driver") == driver
        ]
    except Unreadable:
        return "Whether its driver can take snapshots is not known."
    if not classes:
        return "Its driver offers no snapshots."
    said = f"Its driver can take snapshots (class {listed(classes)}), but it is read live"
    return f"{said}: {claim.why_live}." if claim.why_live else f"{said}."


def _remedy(context: Context) -> str:
    stop = "Stop the application first where that matters, and start it again when its volumes have arrived."
    if context.spec.volume_snapshots == VolumeSnapshots.WHENEVER_POSSIBLE:
        return stop
    return f"{stop} Or let volumes be read from snapshots whenever that is possible."


def _stop(context: Context, writers: list[Object]) -> str:
    lines = []
    for pod in writers:
        namespace = pod["metadata"]["namespace"]
        for owner in items(pod["metadata"], "ownerReferences"):
            kind = SCALED.get(str(owner.get("kind")))
            # A ReplicaSet is called after its Deployment, a ReplicationController after its DeploymentConfig.
            name = str(owner.get("name")) if kind == "statefulset" else str(owner.get("name")).rpartition("-")[0]
            if kind:
                lines.append(f"{context.source.kubectl} scale {kind} {name} --replicas=0 -n {namespace}")
    return "\n".join(dict.fromkeys(lines))


def held(context: Context) -> Iterator[Result]:
    """Claims that one pod alone can have (ReadWriteOncePod) and that some pod has."""
    for claim in context.claims:
        modes = section(claim.source, "spec").get("accessModes") or ()
        if claim.with_data and "ReadWriteOncePod" in modes and claim.users:
            pod = claim.users[0]["metadata"]["name"]
            said = f"Claim {claim.source_label} is ReadWriteOncePod and held by pod {pod}"
            objects = [claim.label, f"Pod {claim.source['metadata']['namespace']}/{pod}"]
            if claim.snapshot_class:
                yield HELD.warning(
                    f"{said}: it is read from a snapshot of class {claim.snapshot_class}.",
                    objects,
                    why="The snapshot is taken when the volumes are started. What is written later stays behind.",
                    remedy="Stop its workload first where that matters.",
                    command=_stop(context, list(claim.users)),
                )
                continue
            yield HELD.failure(
                f"{said}: no second pod can read it, and no snapshot of it can be taken"
                f"{f' ({claim.why_live})' if claim.why_live else ''}.",
                objects,
                why="The mover's pod would wait until the other one ends.",
                remedy="Scale its workload to zero for the time of the migration, or give its driver a "
                "VolumeSnapshotClass and the account the right to make snapshots and claims.",
                command=_stop(context, list(claim.users)),
            )
