"""Whether what is read of a volume is of one moment."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import Text, counted, listed, said, sentences
from migrations_app.resources.preflight.context import CLASSES, Context, Object, WantedClaim
from migrations_app.resources.preflight.facts import Unreadable
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import items, section
from migrations_app.resources.spec import VolumeSnapshots

CONSISTENCY = Check("volume-consistency", said("Volumes that are written to while they are read"))
HELD = Check("volume-held", said("Volumes that another pod can read"))
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
        yield CONSISTENCY.warning(
            sentences(_read_while_written(claim, names), _snapshots(context, claim)),
            [claim.label, *names],
            why=said(
                "A database may find files on the destination that do not go together, as after a crash or worse."
            ),
            remedy=_remedy(context),
            command=_stop(context, writers),
        )
    if still:
        yield CONSISTENCY.passed(
            counted(
                len(still),
                "{n} claim is read from a snapshot: all of it is of one moment, as after a power cut.",
                "{n} claims are read from a snapshot: all of it is of one moment, as after a power cut. Those of "
                "several volumes are taken right after one another.",
            ),
            [each.label for each in still],
        )
    if quiet:
        yield CONSISTENCY.passed(
            counted(
                quiet,
                "Nobody writes to {n} claim while data is read.",
                "Nobody writes to {n} claims while data is read.",
            )
        )


def _read_while_written(claim: WantedClaim, writers: list[str]) -> Text:
    if claim.mode == "Block":
        return counted(
            len(writers),
            "Claim {claim} is a raw device while {writers} writes to it: its parts may then be of different moments.",
            "Claim {claim} is a raw device while {writers} write to it: its parts may then be of different moments.",
            claim=claim.source_label,
            writers=listed(writers),
        )
    return counted(
        len(writers),
        "Claim {claim} is read file by file while {writers} writes to it: its parts may then be of different moments.",
        "Claim {claim} is read file by file while {writers} write to it: its parts may then be of different moments.",
        claim=claim.source_label,
        writers=listed(writers),
    )


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


def _snapshots(context: Context, claim: WantedClaim) -> Text:
    """Whether a snapshot could hold a moment still."""
    name = str(section(claim.source, "spec").get("storageClassName") or "")
    try:
        driver = section(context.source.named(CLASSES), name).get("provisioner")
        classes = [
            each["metadata"]["name"] for each in context.source.list(SNAPSHOT_CLASSES) if each.get("driver") == driver
        ]
    except Unreadable as unreadable:
        return said(
            "Whether its driver can take snapshots is not known: {resource} may not be listed there.",
            resource=unreadable.resource,
        )
    if not classes:
        return said("Its driver offers no snapshots.")
    if not claim.why_live:
        return said("Its driver can take snapshots (class {classes}), but it is read live.", classes=listed(classes))
    return said(
        "Its driver can take snapshots (class {classes}), but it is read live: {why}.",
        classes=listed(classes),
        why=claim.why_live,
    )


def _remedy(context: Context) -> Text:
    stop = said("Stop the application first where that matters, and start it again when its volumes have arrived.")
    if context.spec.volume_snapshots == VolumeSnapshots.WHENEVER_POSSIBLE:
        return stop
    return sentences(stop, said("Or let volumes be read from snapshots whenever that is possible."))


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


def _held(claim: str, pod: str, why_live: str) -> Text:
    if not why_live:
        return said(
            "Claim {claim} is ReadWriteOncePod and held by pod {pod}: no second pod can read it, and no snapshot of it "
            "can be taken.",
            claim=claim,
            pod=pod,
        )
    return said(
        "Claim {claim} is ReadWriteOncePod and held by pod {pod}: no second pod can read it, and no snapshot of it "
        "can be taken ({why}).",
        claim=claim,
        pod=pod,
        why=why_live,
    )


def held(context: Context) -> Iterator[Result]:
    """Claims that one pod alone can have (ReadWriteOncePod) and that some pod has."""
    for claim in context.claims:
        modes = section(claim.source, "spec").get("accessModes") or ()
        if claim.with_data and "ReadWriteOncePod" in modes and claim.users:
            pod = claim.users[0]["metadata"]["name"]
            objects = [claim.label, f"Pod {claim.source['metadata']['namespace']}/{pod}"]
            if claim.snapshot_class:
                yield HELD.warning(
                    said(
                        "Claim {claim} is ReadWriteOncePod and held by pod {pod}: it is read from a snapshot of class "
                        "{snapshot_class}.",
                        claim=claim.source_label,
                        pod=pod,
                        snapshot_class=claim.snapshot_class,
                    ),
                    objects,
                    why=said("The snapshot is taken when the volumes are started. What is written later stays behind."),
                    remedy=said("Stop its workload first where that matters."),
                    command=_stop(context, list(claim.users)),
                )
                continue
            yield HELD.failure(
                _held(claim.source_label, pod, claim.why_live),
                objects,
                why=said("The mover's pod would wait until the other one ends."),
                remedy=said(
                    "Scale its workload to zero for the time of the migration, or give its driver a "
                    "VolumeSnapshotClass and the account the right to make snapshots and claims."
                ),
                command=_stop(context, list(claim.users)),
            )
