"""Whether the destination's nodes can get the images: pull Secrets, and registries of the source's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusters.texts import counted, listed, said
from migrations_app.resources.marks import annotations_of
from migrations_app.resources.preflight.context import Context
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.workloads import Workload
from migrations_app.resources.references import items, section

PULL_SECRETS = Check("pull-secrets", said("Secrets to pull images with"))
REGISTRIES = Check("registries", said("Registries of the images"))
# What OpenShift makes for each account, and makes again.
GENERATED = re.compile(r".+-dockercfg-[a-z0-9]{5}")
DOCKER_HUB = "docker.io"
TRIGGERS = "image.openshift.io/triggers"


def pull_secrets(context: Context) -> Iterator[Result]:
    """Pull Secrets that neither come along nor are there."""
    users: dict[tuple[str, str], list[str]] = {}
    accounts = {
        (obj["metadata"].get("namespace"), obj["metadata"]["name"]): obj
        for obj in context.of_type("", "ServiceAccount")
    }
    for workload in context.workloads:
        own = items(workload.spec, "imagePullSecrets")
        account = accounts.get((workload.namespace, workload.account))
        for each in own or items(account, "imagePullSecrets"):
            name = str(each.get("name"))
            if not GENERATED.fullmatch(name):
                users.setdefault((workload.namespace, name), []).append(str(workload))
    fine = 0
    for (namespace, name), objects in sorted(users.items()):
        if context.has("secrets", "", "Secret", name, namespace):
            fine += 1
            continue
        yield PULL_SECRETS.warning(
            counted(
                len(objects),
                "{objects} pulls images with the Secret {secret}, which neither comes along nor is on the "
                "{destination}.",
                "{objects} pull images with the Secret {secret}, which neither comes along nor is on the "
                "{destination}.",
                objects=listed(objects),
                secret=f"{namespace}/{name}",
                destination=context.destination,
            ),
            objects,
            why=said("Images that need it cannot be pulled: the pods would not start (ImagePullBackOff)."),
            remedy=said("Make the Secret there, or let it come along."),
            command=f"{context.destination.kubectl} create secret docker-registry {name} -n {namespace} "
            "--docker-server=REGISTRY --docker-username=NAME --docker-password=PASSWORD",
        )
    if fine:
        yield PULL_SECRETS.passed(
            counted(fine, "{n} pull Secret comes along or is there.", "{n} pull Secrets come along or are there.")
        )


def registries(context: Context) -> Iterator[Result]:
    """Images that only the source's own registry has; where the others come from."""
    own: dict[str, list[Workload]] = {}
    elsewhere: set[str] = set()
    for workload in context.workloads:
        for container in workload.containers():
            image = str(container.get("image") or "")
            registry = registry_of(image)
            if is_of_a_cluster(registry):
                own.setdefault(image, []).append(workload)
            elif registry:
                elsewhere.add(registry)
    for image, workloads in sorted(own.items()):
        # A trigger puts the destination's own image in the place of this one, once its image stream has it.
        triggered = all(_is_triggered(each) for each in workloads)
        make = REGISTRIES.warning if triggered or not any(each.starts for each in workloads) else REGISTRIES.failure
        yield make(
            said(
                "The image {image} of {workloads} lies in the {source}'s own registry.",
                image=image,
                workloads=listed(map(str, workloads)),
                source=context.source,
            ),
            map(str, workloads),
            why=said("The destination has no such image: the pods would not start (ImagePullBackOff).")
            if not triggered
            else said("The destination's image stream has to have the image before the pods can start."),
            remedy=said("Copy it to a registry that both clusters reach, and map the images in the migration."),
            command=f"skopeo copy docker://{image} docker://REGISTRY/{image.rpartition('/')[2]}",
        )
    if elsewhere:
        yield REGISTRIES.passed(
            counted(
                len(elsewhere),
                "The images come from {registries}; the destination's nodes have to reach it.",
                "The images come from {registries}; the destination's nodes have to reach them.",
                registries=listed(sorted(elsewhere)),
            )
        )


def _is_triggered(workload: Workload) -> bool:
    triggers = items(section(workload.obj, "spec"), "triggers")
    return TRIGGERS in annotations_of(workload.obj) or any(each.get("type") == "ImageChange" for each in triggers)


def registry_of(image: str) -> str:
    """The registry's host and port, as the reference grammar of containers has it (distribution/reference)."""
    first, slash, _rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return DOCKER_HUB if image else ""


def is_of_a_cluster(registry: str) -> bool:
    """Whether only one cluster has the registry: addresses inside it, and a node's own store."""
    host = registry.partition(":")[0]
    return host == "localhost" or host.endswith((".svc", ".svc.cluster.local", ".cluster.local"))
