"""The look around before anything is touched: what Stork would take, and what stands in its way.

Stork checks most of this too, but says what is wrong only by events, and tries for ever; so it is asked first.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import transaction

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import ClusterPair
from clusters.portworx import collecting
from clusters.portworx.migration import GROUP, MIGRATIONS
from clusters.texts import NOTHING, Text, listed, said, sentences
from migrations_app import events
from migrations_app.engines import MigrationError, Plan
from migrations_app.engines.claims import Claim, claim_of
from migrations_app.engines.portworx import asking, consequences, storage
from migrations_app.engines.portworx.findings import Survey, Wanted
from migrations_app.engines.sides import Side, both_sides
from migrations_app.lease import Lease
from migrations_app.models import Migration
from migrations_app.resources.marks import migration_of
from migrations_app.resources.preflight.result import Verdict, failures
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
PAIRS = f"clusterpairs.{GROUP}"


def plan(pair: ClusterPair, spec: Spec) -> Plan:
    """What Stork would move, and what stands in its way. Raises MigrationError, RetriableError."""
    found = survey(Wanted(pair, spec))
    rows = [_claim_row(claim_of(each), found.volumes) for each in found.taken.claims]
    counts = Counter(each["kind"] for each in found.taken.objects)
    return Plan(list(spec.namespaces), rows, dict(sorted(counts.items())), [each.to_dict() for each in found.checks])


def _claim_row(claim: Claim, known: dict[tuple[str, str], Object]) -> Object:
    return {
        "namespace": claim.namespace,
        "name": claim.name,
        "capacity_bytes": claim.bytes,
        "source_class": claim.storage_class,
        # Stork brings the class along where the destination lacks it.
        "destination_class": claim.storage_class,
        "access_modes": claim.access_modes,
        "volume_mode": claim.mode,
        "phase": claim.phase,
        "portworx": known.get((claim.namespace, claim.name)),
    }


def begin(migration: Migration, lease: Lease) -> None:
    """Check everything that can be checked before Stork is asked. Raises MigrationError, RetriableError."""
    found = survey(Wanted(migration.pair, migration.spec(), migration.name, str(migration.pk)))
    if wrong := failures(found.checks):
        raise MigrationError(" ".join(str(each) for each in wrong))
    with transaction.atomic():
        lease.renew()
        for each in found.checks:
            if each.status is Verdict.WARNING:
                events.emit(migration, "Preflight", each.message, warning=True)


def survey(wanted: Wanted) -> Survey:
    """Look at both sides; nothing is changed. Raises MigrationError where one does not let us in, RetriableError."""
    found = Survey()
    source, destination = both_sides(wanted.pair)
    with source.asked(at_first=True) as connection:
        if not _served(connection, source, found):
            return found
        _permissions(connection, source, wanted, found)
        licences = {source: storage.licence_allows(connection, source)}
        _pair(connection, source, wanted, found)
        there = _namespaces(connection, source, wanted, found)
        _rules(connection, wanted, there, found)
        _name(connection, source, wanted, found)
        spec = asking.stork_spec(wanted.pair, wanted.spec, asking.kinds_of(connection))
        found.taken = collecting.collect(connection, spec, there)
        consequences.claims(found, spec)
        if wanted.spec.include_volumes and found.taken.claims:
            volumes = storage.facts_of(connection, source, found.taken.claims)
            found.volumes = volumes.answer or {}
            found.checks.append(storage.volumes_check(volumes))
        consequences.left(found)
    with destination.asked(at_first=True) as connection:
        licences[destination] = storage.licence_allows(connection, destination)
        if wanted.spec.include_resources and there:
            consequences.replaced(connection, destination, found)
    if wanted.spec.include_volumes:
        # Without volumes only Stork works, which needs no licence.
        found.checks.append(storage.licence_check(licences))
    return found


# -- the source


def _served(connection: Connection, side: Side, found: Survey) -> bool:
    if connection.discovery().find(MIGRATIONS) is None and connection.discovery(fresh=True).find(MIGRATIONS) is None:
        found.failure(
            "stork-served",
            said("The {side} does not serve Stork's Migrations.", side=side),
            said("Install Stork there, or use a pair of the native engine."),
        )
        return False
    found.ok("stork-served", said("The {side} serves Stork's Migrations.", side=side))
    return True


def _permissions(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    namespace = wanted.home
    needed = (("create", MIGRATIONS), ("get", MIGRATIONS), ("delete", MIGRATIONS), ("list", "events"))
    missing = [f"{verb} {what}" for verb, what in needed if not connection.can_i(verb, what, namespace)]
    if missing:
        found.failure(
            "stork-permissions",
            said(
                "The account of the {side} may not {verbs} in namespace {namespace}.",
                side=side,
                verbs=tuple(missing),
                namespace=namespace,
            ),
            said("Grant it a role with these permissions there, or use a kubeconfig of an account that has them."),
        )
    else:
        found.ok(
            "stork-permissions",
            said("Migrations can be made and followed in namespace {namespace}.", namespace=namespace),
        )


def _pair(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    names = [(wanted.pair.stork_name, wanted.home)]
    if admin := wanted.spec.stork_options.get("adminClusterPair"):
        names.append((admin, wanted.pair.stork_admin_namespace))
    wrong = [each for name, namespace in names if (each := _wrong_pair(connection, wanted, name, namespace))]
    if wrong:
        found.failure(
            "stork-pair",
            sentences(*wrong),
            said("Set the pair up on its page, and wait until both of its statuses are Ready."),
            why=said(
                "Stork would try for ever, and leave the Migration's stage and status on the {side} blank.", side=side
            ),
            command=f"storkctl -n {wanted.home} get clusterpair",
        )
    else:
        found.ok(
            "stork-pair",
            said("The ClusterPair {home}/{name} is Ready.", home=wanted.home, name=wanted.pair.stork_name),
        )


def _wrong_pair(connection: Connection, wanted: Wanted, name: str, namespace: str) -> Text:
    try:
        status = connection.get(PAIRS, name, namespace).get("status") or {}
    except errors.NotFound:
        return said("There is no ClusterPair {name} in namespace {namespace}.", name=name, namespace=namespace)
    blank = said("blank")
    storage, scheduler = status.get("storageStatus") or blank, status.get("schedulerStatus") or blank
    if wanted.spec.include_volumes and storage != "Ready":
        return said(
            "The storage status of the ClusterPair {namespace}/{name} is {storage}.",
            namespace=namespace,
            name=name,
            storage=storage,
        )
    if scheduler == "Ready":
        return NOTHING
    return said(
        "The scheduler status of the ClusterPair {namespace}/{name} is {scheduler}.",
        namespace=namespace,
        name=name,
        scheduler=scheduler,
    )


def _namespaces(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> list[str]:
    """Those of the namespaces that exist, and those that the selectors select."""
    there: list[str] = []
    missing = []
    for name in wanted.spec.namespaces:
        try:
            connection.get("namespaces", name)
            there.append(name)
        except errors.NotFound:
            missing.append(name)
    for key, value in (wanted.spec.stork_options.get("namespaceSelectors") or {}).items():
        selected = connection.list("namespaces", label_selector=f"{key}={value}")
        there += [each["metadata"]["name"] for each in selected]
    there = list(dict.fromkeys(there))
    foreign = (
        [] if wanted.home == wanted.pair.stork_admin_namespace else [each for each in there if each != wanted.home]
    )
    if missing:
        found.failure(
            "stork-namespaces",
            said("The {side} has no namespace {name}.", side=side, name=listed(missing)),
            said("Check the spelling."),
            why=said(
                "Stork passes over a namespace that is missing, with a warning, or fails (skipDeletedNamespaces)."
            ),
        )
    if foreign:
        found.failure(
            "stork-namespaces",
            said(
                "The ClusterPair is in namespace {home}; Stork migrates only that one over it, and not {foreign}.",
                home=wanted.home,
                foreign=listed(foreign),
            ),
            said(
                "Use a pair whose ClusterPair is in {namespace}.",
                namespace=wanted.pair.stork_admin_namespace,
            ),
        )
    if not missing and not foreign:
        found.ok(
            "stork-namespaces", said("{namespaces}: all there, and Stork may migrate them.", namespaces=listed(there))
        )
    return there


def _rules(connection: Connection, wanted: Wanted, there: list[str], found: Survey) -> None:
    options = wanted.spec.stork_options
    wrong = []
    for option in ("preExecRule", "postExecRule"):
        if (name := options.get(option)) and not _exists(connection, f"rules.{GROUP}", name, wanted.home):
            wrong.append(
                said(
                    "There is no Rule {name} in namespace {home} ({option}).",
                    name=name,
                    home=wanted.home,
                    option=option,
                )
            )
    for name in options.get("transformSpecs") or ():
        for namespace in there:
            try:
                present = connection.get(f"resourcetransformations.{GROUP}", name, namespace)
            except errors.NotFound:
                wrong.append(
                    said(
                        "There is no ResourceTransformation {name} in namespace {namespace}.",
                        name=name,
                        namespace=namespace,
                    )
                )
                continue
            state = (present.get("status") or {}).get("status") or said("blank")
            if state != "Ready":
                wrong.append(
                    said(
                        "The ResourceTransformation {namespace}/{name} is not Ready but {state}.",
                        namespace=namespace,
                        name=name,
                        state=state,
                    )
                )
    if wrong:
        found.failure("stork-rules", sentences(*wrong), said("Make it there, or leave it out."))
    elif any(options.get(each) for each in ("preExecRule", "postExecRule", "transformSpecs")):
        found.ok("stork-rules", said("All that the Migration names are there."))


def _exists(connection: Connection, resource: str, name: str, namespace: str) -> bool:
    try:
        connection.get(resource, name, namespace)
    except errors.NotFound:
        return False
    return True


def _name(connection: Connection, side: Side, wanted: Wanted, found: Survey) -> None:
    if not wanted.name:
        return
    try:
        present = connection.get(MIGRATIONS, wanted.name, wanted.home)
    except errors.NotFound:
        return
    if migration_of(present) != wanted.migration_id:
        found.failure(
            "stork-name",
            said("The {side} already has a Migration {home}/{name}.", side=side, home=wanted.home, name=wanted.name),
            said("Choose another name; to follow that one, import it."),
        )
