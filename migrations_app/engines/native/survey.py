"""The look around before anything is touched: what would move, and what stands in the way.

`plan` shows it to a person; `begin` does the same for a migration that was started, and writes its volumes down.
"""

from __future__ import annotations

import base64
import difflib
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import ClusterPair
from migrations_app import events
from migrations_app.engines import MigrationError, Plan
from migrations_app.engines.native import manifests, privileges, settling
from migrations_app.engines.native.claims import Claim, chosen_claims, claims_in, users_of_claims, volume_of
from migrations_app.engines.native.sides import Side, both_sides
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationVolume, earlier_over
from migrations_app.resources import apply
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.marks import migration_of
from migrations_app.resources.preflight.result import SHOWN, Result, Verdict, failures, passed
from migrations_app.resources.rules import RuleError
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, transformed

Object = dict[str, Any]
TITLES = {
    "namespaces": "Namespaces",
    "permissions": "Permissions",
    "volumes": "Volumes",
    "mover-privileges": "Privileges of the movers",
    "mover-keys": "Keys of the movers",
    "collection": "Objects that can be read",
    "storage-class": "Storage classes",
    "claims-in-the-way": "Claims that are there already",
    "existing-objects": "Objects that are there already",
    "rules": "Rules that change objects",
}

# What the engine does on a side, as verb, resource and subresource.
MOVERS = (
    ("create", "jobs.batch", ""),
    ("delete", "jobs.batch", ""),
    ("create", "secrets", ""),
    ("delete", "secrets", ""),
    ("list", "pods", ""),
    ("get", "pods", "log"),
)
RENEWING = (("patch", "secrets", ""),)
NEEDED = {
    "source": (("list", "persistentvolumeclaims", ""), *MOVERS),
    "destination": (("create", "persistentvolumeclaims", ""), *MOVERS),
}


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `migration_id` tells what is there because the migration itself made it."""

    pair: ClusterPair
    spec: Spec
    migration_id: str = ""

    @classmethod
    def by(cls, migration: Migration) -> Wanted:
        return cls(migration.pair, migration.spec(), str(migration.pk))

    def class_for(self, source_class: str) -> str:
        """The destination's class for one of the source; empty means the destination's default."""
        return self.spec.storage_class_mapping.get(source_class, source_class)

    def options(self) -> Options:
        return Options(migration_id=self.migration_id, source=str(self.pair.source), spec=self.spec)


@dataclass
class Survey:
    """What would move, and what preflight found about it."""

    namespaces: dict[str, Object] = field(default_factory=dict)
    users: dict[str, dict[str, list[Object]]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    collected: Collected = field(default_factory=lambda: Collected([], []))
    checks: list[Result] = field(default_factory=list)

    def failure(self, code: str, message: str, remedy: str = "", *, objects: Iterable[str] = ()) -> None:
        self.checks.append(Result(code, Verdict.FAILURE, TITLES[code], message, tuple(objects), remedy=remedy))

    def warning(self, code: str, message: str, remedy: str = "", *, objects: Iterable[str] = ()) -> None:
        self.checks.append(Result(code, Verdict.WARNING, TITLES[code], message, tuple(objects), remedy=remedy))

    def failures(self) -> list[str]:
        """The failures, each as one text with what to do about it."""
        return [str(each) for each in failures(self.checks)]


def plan(pair: ClusterPair, spec: Spec) -> Plan:
    """What a migration would move, and what stands in its way. Raises MigrationError, RetriableError."""
    wanted = Wanted(pair, spec)
    found = survey(wanted)
    rows = [
        {
            "namespace": claim.namespace,
            "name": claim.name,
            "capacity_bytes": claim.bytes,
            "source_class": claim.storage_class,
            "destination_class": wanted.class_for(claim.storage_class),
            "access_modes": claim.access_modes,
            "volume_mode": claim.mode,
            "phase": claim.phase,
        }
        for claim in found.claims
    ]
    counts = Counter(each["kind"] for each in found.collected.objects)
    return Plan(list(spec.namespaces), rows, dict(sorted(counts.items())), [each.to_dict() for each in found.checks])


def begin(migration: Migration, lease: Lease) -> None:
    """Check everything that can be checked before anything is touched, and write the volumes down.

    Raises MigrationError with all that stands in the way, RetriableError where a cluster is out of reach.
    """
    wanted = Wanted.by(migration)
    found = survey(wanted)
    if wrong := found.failures():
        more = f" And {len(wrong) - SHOWN} more." if len(wrong) > SHOWN else ""
        raise MigrationError(" ".join(wrong[:SHOWN]) + more)
    volumes = [
        volume_of(migration, claim, wanted.class_for(claim.storage_class))
        for claim in found.claims
        if claim.is_bound and migration.include_volumes
    ]
    with transaction.atomic():
        lease.renew()
        MigrationVolume.objects.bulk_create(volumes, ignore_conflicts=True)
        if not migration.data_key:
            migration.data_key = base64.b64encode(secrets.token_bytes(32)).decode()
            migration.save(update_fields=["data_key"])
        for check in found.checks:
            if check.status is Verdict.WARNING:
                events.emit(migration, "Preflight", check.message, warning=True)


def survey(wanted: Wanted) -> Survey:
    """Look at both sides; nothing is changed. Raises MigrationError where one does not let us in, RetriableError."""
    found = Survey()
    _keys(wanted, found)
    source, destination = both_sides(wanted.pair)
    with source.asked(at_first=True) as connection:
        _namespaces(connection, source, wanted, found)
        if not found.failures():
            _permissions(connection, source, wanted, found)
        if found.failures():
            return found
        for namespace in wanted.spec.namespaces:
            _claims(connection, namespace, wanted, found)
            _powers(connection, source, namespace, found.namespaces[namespace], wanted, found)
        if wanted.spec.include_resources:
            found.collected = collect(connection, wanted.spec)
            for each in found.collected.skipped:
                found.warning(
                    "collection", f"{each.resource} cannot be read on the {source} and stay behind: {each.reason}"
                )
    with destination.asked(at_first=True) as connection:
        there = _destination_namespaces(connection, destination, wanted, found)
        _permissions(connection, destination, wanted, found)
        if found.failures():
            return found
        _classes(connection, destination, wanted, found)
        for namespace in wanted.spec.namespaces:
            mapped = wanted.spec.namespace_for(namespace)
            # One that is not there yet comes with the labels and annotations of the source's.
            own = connection.get("namespaces", mapped) if mapped in there else found.namespaces[namespace]
            _powers(connection, destination, namespace, own, wanted, found)
            if mapped in there:
                _claims_in_the_way(connection, destination, namespace, wanted, found)
        if wanted.spec.include_resources:
            _objects_in_the_way(connection, destination, there, wanted, found)
    return found


def _keys(wanted: Wanted, found: Survey) -> None:
    """Tell which keys of the object store movers get."""
    if not wanted.spec.include_volumes:
        return
    store = wanted.pair.object_store
    said = (
        _("Movers get temporary keys of the object store %(store)s, each for the prefix of its own volume alone.")
        if store.gives_temporary_keys
        else _(
            "Movers get the own key pair of the object store %(store)s, in a Secret that goes with them: it gives no "
            "temporary keys that a session policy holds to a prefix."
        )
    )
    found.checks.append(passed("mover-keys", TITLES["mover-keys"], said % {"store": store.name}))


# -- the source


def _namespaces(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    for name in wanted.spec.namespaces:
        try:
            namespace = connection.get("namespaces", name)
        except errors.NotFound:
            found.failure("namespaces", f"The {side} has no namespace {name}.", _namespaces_like(connection, name))
            continue
        if namespace["metadata"].get("deletionTimestamp"):
            found.failure("namespaces", f"The namespace {name} is being deleted on the {side}.")
        found.namespaces[name] = namespace


def _namespaces_like(connection: Connection, name: str) -> str:
    try:
        known = [each["metadata"]["name"] for each in connection.list("namespaces")]
    except errors.Forbidden:
        return "Check the spelling."
    if close := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return f"Did you mean {' or '.join(close)}?"
    own = [each for each in known if not each.startswith(("kube-", "openshift"))]
    return f"It has {', '.join(own[:10])}."


def _permissions(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    if not wanted.spec.include_volumes:
        return
    named = wanted.spec.namespaces if side.role == "source" else wanted.spec.destination_namespaces()
    temporary = wanted.pair.object_store.gives_temporary_keys
    for namespace in named:
        missing = [
            f"{verb} {resource}{f'/{subresource}' if subresource else ''}"
            for verb, resource, subresource in (*NEEDED[side.role], *(RENEWING if temporary else ()))
            if not connection.can_i(verb, resource, namespace, subresource=subresource)
        ]
        if missing:
            found.failure(
                "permissions",
                f"The account of the {side} may not {', '.join(missing)} in namespace {namespace}.",
                "Grant it a role with these permissions there, or use a kubeconfig of an account that has them.",
            )


def _claims(connection: Connection, namespace: str, wanted: Wanted, found: Survey) -> None:
    claims = chosen_claims(connection, namespace, wanted.spec)
    users = users_of_claims(connection, namespace) if claims and wanted.spec.include_volumes else {}
    found.users[namespace] = users
    for claim in claims:
        found.claims.append(claim)
        if not wanted.spec.include_volumes:
            continue
        if not claim.is_bound:
            found.warning("volumes", f"Claim {claim} is not bound: it has no data, and an empty claim is made for it.")
        elif "ReadWriteOncePod" in claim.access_modes and (busy := users.get(claim.name)):
            found.failure(
                "volumes",
                f"Claim {claim} is ReadWriteOncePod and held by pod {busy[0]['metadata']['name']}: no second pod can "
                "read it.",
                "Scale its workload to zero for the time of the migration.",
            )
        elif claim.mode == manifests.BLOCK and (busy := users.get(claim.name)):
            found.warning(
                "volumes",
                f"Claim {claim} is a raw device that pod {busy[0]['metadata']['name']} may write to while it is read: "
                "its parts may then be of different moments.",
                "Stop the application first where that matters.",
            )


def _powers(connection: Connection, side: Side, name: str, namespace: Object, wanted: Wanted, found: Survey) -> None:
    """Tell beforehand where movers will not be root, once for all claims of a namespace that share the reason."""
    claims = [each for each in found.claims if each.namespace == name and each.is_bound]
    if not (wanted.spec.include_volumes and claims):
        return
    direction: privileges.Direction = "push" if side.role == "source" else "pull"
    here = name if side.role == "source" else wanted.spec.namespace_for(name)
    refused = settling.refuses_root(connection, here)
    told = []
    for claim in claims:
        pods = found.users[name].get(claim.name, [])
        power = privileges.decide(direction, namespace, pods, refuses_root=refused)
        lost = privileges.what_is_lost(direction, power, raw=claim.mode == manifests.BLOCK)
        if lost and lost not in told:
            told.append(lost)
    for lost in told:
        said = _("Movers on the %(side)s in namespace %(namespace)s: %(lost)s")
        found.warning("mover-privileges", said % {"side": side, "namespace": here, "lost": lost})


# -- the destination


def _destination_namespaces(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> list[str]:
    """Those of the namespaces that the destination has already."""
    there = []
    for name in wanted.spec.destination_namespaces():
        try:
            namespace = connection.get("namespaces", name)
        except errors.NotFound:
            if not connection.can_i("create", "namespaces"):
                found.failure(
                    "namespaces",
                    f"The {side} has no namespace {name}, and its account may not create namespaces.",
                    "Create the namespace there, or grant create on namespaces.",
                )
            continue
        if namespace["metadata"].get("deletionTimestamp"):
            found.failure(
                "namespaces", f"The namespace {name} is being deleted on the {side}.", "Wait until it is gone."
            )
        there.append(name)
    return there


def _classes(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    """Whether the class of each claim exists."""
    needing: dict[str, list[Claim]] = {}
    for claim in found.claims:
        needing.setdefault(wanted.class_for(claim.storage_class), []).append(claim)
    if not needing:
        return
    offered = {each["metadata"]["name"]: each for each in connection.list("storageclasses.storage.k8s.io")}
    has = ", ".join(sorted(offered)) or "none"
    defaults = [each for each in offered.values() if _is_default(each)]
    for name, claims in sorted(needing.items()):
        which = ", ".join(str(claim) for claim in claims[:SHOWN])
        if name and name not in offered:
            found.failure(
                "storage-class",
                f"Claim {which} needs the storage class {name}, which the {side} does not have (it has: {has}).",
                "Map the source's class to one of these in the pair or in the migration.",
            )
        elif not name and not defaults:
            found.failure(
                "storage-class",
                f"Claim {which} names no storage class, and the {side} has no default one (it has: {has}).",
                "Make one of these the default, or map the empty class to one.",
            )


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(settling.DEFAULT_CLASS) == "true"


def _claims_in_the_way(connection: Connection, side: Side, namespace: str, wanted: Wanted, found: Survey) -> None:
    """Claims of the same names that somebody else made: one that fits and that nobody uses is taken as it is."""
    here = wanted.spec.namespace_for(namespace)
    present = {claim.name: claim for claim in claims_in(connection, here)}
    users = users_of_claims(connection, here) if present else {}
    for claim in [each for each in found.claims if each.namespace == namespace and each.name in present]:
        other = present[claim.name]
        if wanted.migration_id and migration_of(other.raw) == wanted.migration_id:
            continue
        place = f"The {side} already has a claim {other}"
        if other.bytes < claim.bytes:
            found.failure(
                "claims-in-the-way",
                f"{place}, and it is too small: it has {other.size}, the source's has {claim.size}.",
                "Expand it, or delete it so that the migration makes one of the right size.",
            )
        elif other.mode != claim.mode:
            found.failure(
                "claims-in-the-way",
                f"{place} with volumeMode {other.mode} instead of {claim.mode}.",
                "Delete it there.",
            )
        elif missing := [mode for mode in claim.access_modes if mode not in other.access_modes]:
            found.failure("claims-in-the-way", f"{place} without access mode {', '.join(missing)}.", "Delete it there.")
        elif wanted.spec.include_volumes and (busy := users.get(claim.name)):
            found.failure(
                "claims-in-the-way",
                f"{place}, and pod {busy[0]['metadata']['name']} uses it.",
                "Stop what uses it and empty it, or delete both there.",
            )


def _objects_in_the_way(connection: Connection, side: Side, there: list[str], wanted: Wanted, found: Survey) -> None:
    """Different objects of the same names; a namespace that does not exist yet cannot hold any."""
    options = wanted.options()
    candidates = []
    for obj in found.collected.objects:
        try:
            made = transformed(obj, options)
        except RuleError as error:
            found.failure("rules", str(error), "Change the rule, or let its conditions leave this object out.")
            continue
        if made["metadata"].get("namespace") in (None, *there):
            candidates.append(made)
    # Nothing was made by a migration that is only planned.
    refused = apply.conflicts(
        connection,
        candidates,
        wanted.migration_id or "planned",
        policy=wanted.spec.conflict_policy,
        earlier=earlier_over(wanted.pair),
    )
    for each in refused:
        place = f"{each.namespace}/{each.name}" if each.namespace else each.name
        found.failure("existing-objects", f"{each.kind} {place} on the {side}: {each.reason}")
