"""What people would meet afterwards: claims and objects that stay behind, and what Stork replaces."""

from __future__ import annotations

from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx.migration import GROUP, MigrationSpec
from clusters.texts import counted, listed, said
from migrations_app.engines.portworx.findings import Survey
from migrations_app.engines.sides import Side

Object = dict[str, Any]


def claims(found: Survey, spec: MigrationSpec) -> None:
    other = [str(each) for each in found.taken.left if each.reason == "its volume is not Portworx'"]
    if other and spec.include_volumes is not False:
        found.warning(
            "stork-claims",
            counted(
                len(other),
                "{n} claim is not Portworx' and stays behind: {names}.",
                "{n} claims are not Portworx' and stay behind: {names}.",
                names=listed(other),
            ),
            objects=other,
            why=said("Workloads that mount them will not start on the destination."),
            remedy=said("Move them with a pair of the native engine."),
        )
    unbound = [
        f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in found.taken.claims
        if (each.get("status") or {}).get("phase") != "Bound"
    ]
    if unbound:
        found.warning(
            "stork-claims",
            counted(
                len(unbound),
                "{n} claim is not bound: Stork counts it as a migrated volume and brings nothing: {names}.",
                "{n} claims are not bound: Stork counts them as migrated volumes and brings nothing: {names}.",
                names=listed(unbound),
            ),
            objects=unbound,
        )
    if not other and not unbound:
        found.ok(
            "stork-claims",
            counted(
                len(found.taken.claims),
                "{n} claim, Portworx' and bound.",
                "{n} claims, all of them Portworx' and bound.",
            ),
        )


def left(found: Survey) -> None:
    """What people would miss. What every cluster makes for itself is not told."""
    quiet = ("every cluster makes its own", "its volume is not Portworx'")
    missed = [each for each in found.taken.left if each.reason not in quiet]
    for reason in dict.fromkeys(each.reason for each in missed):
        names = [str(each) for each in missed if each.reason == reason]
        found.warning("stork-left", said("{names}: {reason}.", names=listed(names), reason=reason), objects=names)
    if found.taken.unreadable:
        kinds = listed(sorted(set(found.taken.unreadable)))
        found.warning(
            "stork-left", said("Our account may not list {kinds}: what Stork takes of them is not known.", kinds=kinds)
        )
    if tokens := [
        f"Secret {each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in found.taken.objects
        if each["kind"] == "Secret" and each.get("type") == "kubernetes.io/service-account-token"
    ]:
        found.warning(
            "stork-token-secrets",
            said(
                "{tokens}: Stork reports them as migrated, and the destination deletes them at once.",
                tokens=listed(tokens),
            ),
            objects=tokens,
            why=said("They name the uid of the source's service account."),
        )
    hosts = [host for each in found.taken.objects for host in _hosts(each)]
    if hosts:
        found.warning(
            "stork-hosts",
            said("The hosts stay those of the source: {hosts}.", hosts=listed(hosts)),
            remedy=said("Point their DNS at the destination, or change them there."),
        )


def _hosts(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    if obj["kind"] == "Route":
        return [spec["host"]] if spec.get("host") else []
    return [each["host"] for each in spec.get("rules") or () if each.get("host")] if obj["kind"] == "Ingress" else []


def replaced(connection: Connection, side: Side, found: Survey) -> None:
    """Objects of the same name that somebody else made there: Stork deletes them and makes its own."""
    present: dict[tuple[str, str], dict[str, Object]] = {}
    others = []
    for each in found.taken.objects:
        metadata = each["metadata"]
        namespace = metadata.get("namespace", "")
        if each["kind"] in ("PersistentVolume", "ServiceAccount") or not namespace:
            continue
        resource = connection.discovery().by_kind(each["apiVersion"], each["kind"])
        if resource is None:
            continue
        key = resource.name, namespace
        if key not in present:
            try:
                rows = list(connection.list(resource, namespace))
            except (errors.Forbidden, errors.NotFound):
                rows = []
            present[key] = {row["metadata"]["name"]: row for row in rows}
        other = present[key].get(metadata["name"])
        if other is not None and (other["metadata"].get("annotations") or {}).get(f"{GROUP}/migrated") != "true":
            others.append(f"{each['kind']} {namespace}/{metadata['name']}")
    if others:
        found.warning(
            "stork-replaced",
            counted(
                len(others),
                "The {side} has {n} object of these names that no Migration brought: {names}.",
                "The {side} has {n} objects of these names that no Migration brought: {names}.",
                side=side,
                names=listed(others),
            ),
            objects=others,
            why=said("Stork deletes what differs and makes its own; a Service gets another address and load balancer."),
        )
    else:
        found.ok("stork-replaced", said("Nothing of the {side} is in the way.", side=side))
