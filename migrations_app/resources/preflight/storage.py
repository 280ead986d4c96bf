"""Whether the destination can make the volumes: classes, access modes, modes, capacity, drivers."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import Text, counted, either, listed, said
from migrations_app.resources.preflight.context import CLASSES, Context, Object, WantedClaim, is_default
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.quantities import to_bytes, to_text
from migrations_app.resources.references import items, section

CLASS = Check("storage-class", said("Storage classes"))
ACCESS = Check("access-modes", said("Access modes"))
MODE = Check("volume-mode", said("Volume modes"))
CAPACITY = Check("capacity", said("Free capacity"))
DRIVER = Check("csi-driver", said("Storage drivers"))
STATIC = Check("static-volumes", said("Volumes made by hand"))

NO_PROVISIONER = "kubernetes.io/no-provisioner"
# What these drivers document: block storage that one node has at a time, and file systems that are shared and have no
# devices. Others are not judged; a StorageProfile of KubeVirt's CDI, where there is one, says it for the class itself.
SINGLE_NODE = {
    "ebs.csi.aws.com", "kubernetes.io/aws-ebs", "disk.csi.azure.com", "kubernetes.io/azure-disk",
    "pd.csi.storage.gke.io", "kubernetes.io/gce-pd", "cinder.csi.openstack.org", "kubernetes.io/cinder",
    "csi.vsphere.vmware.com", "kubernetes.io/vsphere-volume", "dobs.csi.digitalocean.com", "csi.hetzner.cloud",
    "linodebs.csi.linode.com", "block.csi.ibm.com", "vpc.block.csi.ibm.io", "topolvm.io", "topolvm.cybozu.com",
    "rancher.io/local-path", "local.csi.openebs.io", "openebs.io/local", "rbd.csi.ceph.com",
    "openshift-storage.rbd.csi.ceph.com", "rook-ceph.rbd.csi.ceph.com",
}  # fmt: skip
SHARED_FILES = {
    "efs.csi.aws.com", "file.csi.azure.com", "kubernetes.io/azure-file", "filestore.csi.storage.gke.io",
    "nfs.csi.k8s.io", "cephfs.csi.ceph.com", "openshift-storage.cephfs.csi.ceph.com", "rook-ceph.cephfs.csi.ceph.com",
    "smb.csi.k8s.io", "manila.csi.openstack.org", "nfs.manila.csi.openstack.org",
}  # fmt: skip
MANY_NODES = {"ReadWriteMany", "ReadOnlyMany"}


def classes(context: Context) -> Iterator[Result]:
    """Whether each claim's class is there, those of StatefulSets' templates included."""
    needing: dict[str, list[str]] = {}
    for claim in context.claims:
        needing.setdefault(claim.storage_class, []).append(claim.label)
    for obj in context.of_type("apps", "StatefulSet"):
        for template in items(obj.get("spec"), "volumeClaimTemplates"):
            name = section(template, "spec").get("storageClassName")
            if name is not None:
                place = f"StatefulSet {obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
                needing.setdefault(str(name), []).append(place)
    if not needing:
        return
    offered = context.destination.named(CLASSES)
    wrong = False
    for name, objects in sorted(needing.items()):
        if name and name not in offered:
            wrong = True
            yield _absent(context, name, objects, offered)
        elif not name and not any(is_default(each) for each in offered.values()):
            wrong = True
            yield _no_default(context, objects, offered)
    if not wrong:
        named = listed(name or said("the default one") for name in sorted(needing))
        yield CLASS.passed(
            counted(
                len(objects_of(needing)),
                "The {destination} has the storage classes of {n} claim: {named}.",
                "The {destination} has the storage classes of {n} claims: {named}.",
                destination=context.destination,
                named=named,
            )
        )


def objects_of(needing: dict[str, list[str]]) -> list[str]:
    """All that need a class, each once."""
    return list(dict.fromkeys(each for objects in needing.values() for each in objects))


def _subject(objects: list[str]) -> Text:
    """`Claim a, b` or, where claims are made later, `StatefulSet a`."""
    claims = [each.partition(" ")[2] for each in objects if each.startswith("PersistentVolumeClaim ")]
    return said("Claim {claims}", claims=listed(claims)) if claims else listed(objects)


def _absent(context: Context, name: str, objects: list[str], offered: dict[str, Object]) -> Result:
    has = tuple(sorted(offered)) or said("none")
    return CLASS.failure(
        said(
            "{objects} needs the storage class {name}, which the {destination} does not have (it has: {has}).",
            objects=_subject(objects),
            name=name,
            destination=context.destination,
            has=has,
        ),
        objects,
        why=said("The claim would wait for ever, and so would the pods that use it."),
        remedy=said("Map the source's class to one of these in the pair or in the migration."),
        command=f"{context.destination.kubectl} get storageclasses",
    )


def _no_default(context: Context, objects: list[str], offered: dict[str, Object]) -> Result:
    has = tuple(sorted(offered)) or said("none")
    first = next(iter(sorted(offered)), "NAME")
    patch = '{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}'
    return CLASS.failure(
        said(
            "{objects} names no storage class, and the {destination} has no default one (it has: {has}).",
            objects=_subject(objects),
            destination=context.destination,
            has=has,
        ),
        objects,
        why=said("The claim would wait for ever, and so would the pods that use it."),
        remedy=said("Make one of these the default, or map the empty class to one."),
        command=f"{context.destination.kubectl} patch storageclass {first} -p '{patch}'",
    )


def access_modes(context: Context) -> Iterator[Result]:
    """Access modes that the class's driver cannot give."""
    right = 0
    for claim, storage_class in _with_class(context):
        name, provisioner = storage_class["metadata"]["name"], str(storage_class.get("provisioner"))
        allowed = _profiled(context, name, claim.mode)
        wanted = set(claim.access_modes)
        # Ceph's and vSphere's devices can be shared, their file systems not.
        shared = wanted & MANY_NODES if claim.mode != "Block" else set()
        lacking = sorted(wanted - allowed if allowed else shared if provisioner in SINGLE_NODE else set())
        if "ReadWriteOncePod" in wanted and provisioner.startswith("kubernetes.io/"):
            lacking = ["ReadWriteOncePod"]
        if not lacking:
            right += 1
            continue
        others = [
            other["metadata"]["name"]
            for other in context.destination.list(CLASSES)
            if str(other.get("provisioner")) in SHARED_FILES
        ]
        remedy = (
            said(
                "Either map its class to {others}, or map {mode} to ReadWriteOnce where one node at a time is enough.",
                others=either(others),
                mode=lacking[0],
            )
            if others
            else said(
                "Either offer a class of shared files there, or map {mode} to ReadWriteOnce where one node at a time "
                "is enough.",
                mode=lacking[0],
            )
        )
        yield ACCESS.failure(
            said(
                "Claim {claim} is {lacking}, which the storage class {name} ({provisioner}) of the {destination} "
                "cannot give.",
                claim=claim,
                lacking=tuple(lacking),
                name=name,
                provisioner=provisioner,
                destination=context.destination,
            ),
            [claim.label],
            why=said("The driver would refuse to make the volume, and the claim would wait for ever."),
            remedy=remedy,
            command=f"{context.destination.kubectl} describe storageclass {name}",
        )
    if right:
        yield ACCESS.passed(
            counted(
                right,
                "Nothing is known against the access modes of {n} claim.",
                "Nothing is known against the access modes of {n} claims.",
            )
        )


def _profiled(context: Context, name: str, mode: str) -> set[str]:
    """What a StorageProfile (cdi.kubevirt.io) says of the class; empty where there is none."""
    profile = context.destination.named("storageprofiles.cdi.kubevirt.io").get(name)
    sets = items(section(profile, "status"), "claimPropertySets")
    return {each for one in sets if one.get("volumeMode", mode) == mode for each in one.get("accessModes") or ()}


def volume_modes(context: Context) -> Iterator[Result]:
    """Raw devices from a class of shared files."""
    devices = [(claim, found) for claim, found in _with_class(context) if claim.mode == "Block"]
    wrong = [(claim, found) for claim, found in devices if found.get("provisioner") in SHARED_FILES]
    for claim, storage_class in wrong:
        yield MODE.failure(
            said(
                "Claim {claim} is a raw device, which the storage class {name} ({provisioner}) of the "
                "{destination} cannot give: it has shared files only.",
                claim=claim,
                name=storage_class["metadata"]["name"],
                provisioner=storage_class["provisioner"],
                destination=context.destination,
            ),
            [claim.label],
            why=said("The driver would refuse to make the volume, and the claim would wait for ever."),
            remedy=said("Map its class to one of block storage."),
            command=f"{context.destination.kubectl} get storageclasses",
        )
    if devices and not wrong:
        yield MODE.passed(
            counted(
                len(devices), "Nothing is known against {n} raw device.", "Nothing is known against {n} raw devices."
            )
        )


def drivers(context: Context) -> Iterator[Result]:
    """Drivers that are registered and run on no node, or only on some."""
    registered = context.destination.named("csidrivers.storage.k8s.io")
    running = [
        {str(driver.get("name")) for driver in items(each.get("spec"), "drivers")}
        for each in context.destination.list("csinodes.storage.k8s.io")
    ]
    if not running:
        return
    names = {str(found.get("provisioner")) for _claim, found in _with_class(context)} & set(registered)
    for name in sorted(names):
        on = sum(name in each for each in running)
        objects = [claim.label for claim, found in _with_class(context) if found.get("provisioner") == name]
        command = f"{context.destination.kubectl} get csinodes -o wide"
        if not on:
            yield DRIVER.failure(
                said(
                    "The storage driver {name} runs on no node of the {destination}.",
                    name=name,
                    destination=context.destination,
                ),
                objects,
                why=said("No pod could mount these volumes, the movers' included."),
                remedy=said("Install or mend the driver's node plugin there."),
                command=command,
            )
        elif on < len(running):
            yield DRIVER.warning(
                said(
                    "The storage driver {name} runs on {on} of {running} nodes of the {destination}.",
                    name=name,
                    on=on,
                    running=len(running),
                    destination=context.destination,
                ),
                objects,
                why=said("Pods that land on the others cannot mount these volumes."),
                remedy=said("Mend the driver's node plugin there, or keep these pods to the nodes that have it."),
                command=command,
            )
        else:
            yield DRIVER.passed(
                said("The storage driver {name} runs on all {running} nodes.", name=name, running=len(running))
            )


def capacity(context: Context) -> Iterator[Result]:
    """What drivers say is free (CSIStorageCapacity), against what the claims need."""
    needed: dict[str, list[WantedClaim]] = {}
    for claim, storage_class in _with_class(context):
        needed.setdefault(storage_class["metadata"]["name"], []).append(claim)
    if not needed:
        return
    reported: dict[str, list[Object]] = {}
    for each in context.destination.list("csistoragecapacities.storage.k8s.io"):
        reported.setdefault(str(each.get("storageClassName")), []).append(each)
    silent = sorted(set(needed) - set(reported))
    for name, claims in sorted(needed.items()):
        if name in reported:
            yield from _against(context, name, claims, reported[name])
    if silent:
        yield CAPACITY.passed(
            said(
                "The drivers of {silent} do not say how much is free; nothing speaks against it.", silent=listed(silent)
            )
        )


def _against(context: Context, name: str, claims: list[WantedClaim], reported: list[Object]) -> Iterator[Result]:
    free = [to_bytes(each.get("capacity", 0)) for each in reported]
    # The largest volume can be smaller than what is free, where that is in pieces.
    largest = max(to_bytes(each.get("maximumVolumeSize") or each.get("capacity") or 0) for each in reported)
    total = sum(claim.bytes for claim in claims)
    command = f"{context.destination.kubectl} get csistoragecapacities -A"
    too_large = [claim for claim in claims if claim.bytes > largest]
    for claim in too_large:
        yield CAPACITY.failure(
            said(
                "Claim {claim} needs {bytes}, and the largest volume that the storage class {name} of the "
                "{destination} can make now has {largest}.",
                claim=claim,
                bytes=to_text(claim.bytes),
                name=name,
                destination=context.destination,
                largest=to_text(largest),
            ),
            [claim.label],
            why=said("The volume could not be made, and its mover would wait for ever."),
            remedy=said("Make room there, or map the class to another one."),
            command=command,
        )
    if too_large:
        return
    if total > sum(free):
        yield CAPACITY.failure(
            said(
                "The claims of the storage class {name} need {total} together, and the {destination} has {free} "
                "left for it.",
                name=name,
                total=to_text(total),
                destination=context.destination,
                free=to_text(sum(free)),
            ),
            [claim.label for claim in claims],
            why=said("The last volumes could not be made."),
            remedy=said("Make room there, map the class of some to another one, or migrate in parts."),
            command=command,
        )
    else:
        yield CAPACITY.passed(
            counted(
                len(claims),
                "The storage class {name} has {free} free, and {n} claim needs {total}.",
                "The storage class {name} has {free} free, and {n} claims need {total}.",
                name=name,
                free=to_text(sum(free)),
                total=to_text(total),
            )
        )


def static(context: Context) -> Iterator[Result]:
    """Classes without a provisioner: a volume has to be there for each claim."""
    claims = [(claim, found) for claim, found in _with_class(context) if found.get("provisioner") == NO_PROVISIONER]
    if not claims:
        return
    free = [
        each
        for each in context.destination.list("persistentvolumes")
        if section(each, "status").get("phase") == "Available"
    ]
    lacking = []
    for claim, found in sorted(claims, key=lambda pair: pair[0].bytes):
        fitting = [each for each in free if _fits(each, claim, found["metadata"]["name"])]
        if fitting:
            free.remove(min(fitting, key=lambda each: to_bytes(each["spec"]["capacity"]["storage"])))
        else:
            lacking.append(claim)
    for claim in lacking:
        yield STATIC.failure(
            said(
                "Claim {claim} needs a volume of {bytes} ({access_modes}), and the {destination} has none free "
                "of the class {storage_class}, whose volumes are made by hand.",
                claim=claim,
                bytes=to_text(claim.bytes),
                access_modes=tuple(claim.access_modes),
                destination=context.destination,
                storage_class=claim.storage_class or said("that is the default"),
            ),
            [claim.label],
            why=said("Nobody makes volumes of this class: the claim would wait for ever."),
            remedy=said("Make a PersistentVolume that fits, or map the class to one with a provisioner."),
            command=f"{context.destination.kubectl} get persistentvolumes",
        )
    if not lacking:
        yield STATIC.passed(
            counted(
                len(claims),
                "There is a free volume for each of {n} claim of static classes.",
                "There is a free volume for each of {n} claims of static classes.",
            )
        )


def _fits(volume: Object, claim: WantedClaim, class_name: str) -> bool:
    spec = volume["spec"]
    return (
        spec.get("storageClassName") == class_name
        and to_bytes(spec.get("capacity", {}).get("storage", 0)) >= claim.bytes
        and set(claim.access_modes) <= set(spec.get("accessModes") or ())
        and (spec.get("volumeMode") or "Filesystem") == claim.mode
    )


def _with_class(context: Context) -> Iterator[tuple[WantedClaim, Object]]:
    """Claims whose class is there, and it; claims that the destination has already are somebody else's business."""
    for claim in context.claims:
        if claim.namespace in context.existing and claim.name in context.destination.named(
            "persistentvolumeclaims", claim.namespace
        ):
            continue
        if found := context.class_of(claim):
            yield claim, found
