"""The look around before anything is touched: what would move, and what stands in the way.

`plan` shows it to a person; `begin` does the same for a migration that was started, and writes its volumes down.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from clusters.kube import errors
from clusters.models import ClusterPair
from clusters.texts import SHOWN
from migrations_app import events
from migrations_app.engines import MigrationError, Plan
from migrations_app.engines.claims import Claim, chosen_claims, users_of_claims, volume_of
from migrations_app.engines.native import checks, pod_options, snapshots
from migrations_app.engines.native.snapshots import Reading
from migrations_app.engines.native.wanted import Wanted
from migrations_app.engines.sides import Side, both_sides
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationVolume, earlier_over, purgeable
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.preflight import permissions
from migrations_app.resources.preflight.context import Context, WantedClaim
from migrations_app.resources.preflight.result import Result, Verdict, failures, worst_first
from migrations_app.resources.preflight.run import preflight
from migrations_app.resources.rules import RuleError
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import unsettled
from migrations_app.resources.transform import transformed

Object = dict[str, Any]


@dataclass
class Survey:
    """What would move, and what preflight found about it. `users` are pods by namespace and claim."""

    namespaces: dict[str, Object] = field(default_factory=dict)
    users: dict[str, dict[str, list[Object]]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    # How those are read whose data goes along, by namespace and name.
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    collected: Collected = field(default_factory=lambda: Collected([], []))
    checks: list[Result] = field(default_factory=list)

    def failures(self) -> list[str]:
        """The failures, each as one text with what to do about it."""
        return [str(each) for each in failures(self.checks)]

    def carried(self, namespace: str, spec: Spec) -> list[Claim]:
        """The claims of a namespace of the source whose data goes along."""
        return [each for each in self.claims if each.namespace == namespace and each.is_bound and spec.include_volumes]


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
            **_read_from(found.readings.get((claim.namespace, claim.name))),
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
    for volume in volumes:
        volume.snapshot_class = found.readings[volume.namespace, volume.claim].snapshot_class
    with transaction.atomic():
        lease.renew()
        MigrationVolume.objects.bulk_create(volumes, ignore_conflicts=True)
        if not migration.data_key:
            migration.data_key = base64.b64encode(secrets.token_bytes(32)).decode()
            migration.save(update_fields=["data_key"])
        warnings = [each.message for each in found.checks if each.status is Verdict.WARNING]
        events.emit_all(migration, [events.Said("Preflight", message, warning=True) for message in warnings])


def survey(wanted: Wanted) -> Survey:
    """Look at both sides; nothing is changed. Raises MigrationError where one does not let us in, RetriableError."""
    found = Survey()
    source, destination = both_sides(wanted.pair)
    context = Context(
        source=source.facts(),
        destination=destination.facts(),
        spec=wanted.spec,
        migration_id=wanted.migration_id,
        earlier=earlier_over(wanted.pair),
        purgeable=purgeable(wanted.pair, wanted.spec) if wanted.spec.purge_deleted_resources else (),
        renews_keys=wanted.pair.object_store.gives_temporary_keys,
    )
    if wanted.spec.include_volumes:
        found.checks.append(checks.keys(wanted.pair.object_store))
    if _source(source, wanted, context, found) and _destination(destination, wanted, context, found):
        found.checks += preflight(context)
    found.checks = worst_first(found.checks)
    return found


def _source(side: Side, wanted: Wanted, context: Context, found: Survey) -> bool:
    """What would move; whether it could be seen."""
    spec = wanted.spec
    with side.asked(at_first=True) as connection:
        offer = snapshots.Offer(connection)
        found.namespaces, wrong = checks.namespaces(connection, side, spec.namespaces)
        found.checks += wrong
        # Without these there is nothing to see.
        found.checks += [] if wrong else failures(permissions.of_source(context))
        if failures(found.checks):
            return False
        for name in spec.namespaces:
            claims = chosen_claims(connection, name, spec)
            found.claims += claims
            found.users[name] = users_of_claims(connection, name) if claims and spec.include_volumes else {}
            own, carried = found.namespaces[name], found.carried(name, spec)
            found.checks += checks.powers(connection, side, own, name, carried, found.users[name])
            found.readings |= snapshots.readings(offer, carried, found.users[name], spec.volume_snapshots)
        if spec.include_volumes:
            found.checks += checks.unbound(found.claims)
        if spec.include_resources:
            found.collected = collect(connection, spec)
            found.checks += checks.unread(side, found.collected)
    context.source_namespaces = found.namespaces
    context.collected = found.collected.objects
    context.missing = found.collected.missing
    context.planned, wrong = _transformed(wanted, found.collected)
    found.checks += wrong
    context.claims = [_wanted_claim(claim, wanted, found) for claim in found.claims]
    if any(each.with_data for each in context.claims):
        context.mover = {"containers": [{"name": "mover", "resources": pod_options.resources()}]}
    return True


def _transformed(wanted: Wanted, collected: Collected) -> tuple[list[Object], list[Result]]:
    """The objects as they are to be, and what is to be said of that."""
    options = wanted.options(collected.suspensions)
    pairs, wrong = [], []
    for obj in collected.objects:
        try:
            pairs.append((obj, transformed(obj, options)))
        except RuleError as error:
            wrong.append(checks.rule_that_does_not_fit(obj, error))
    wrong += checks.idle_rules(wanted.spec, collected)
    wrong += checks.names_of_services(unsettled(pairs, wanted.spec), wanted.spec)
    return [planned for _obj, planned in pairs], wrong


def _read_from(reading: Reading | None) -> dict[str, str]:
    """What a plan says of how a claim's data is read."""
    if reading is None:
        return {"read_from": "", "snapshot_class": "", "why_live": ""}
    read_from = "snapshot" if reading.snapshot_class else "live"
    return {"read_from": read_from, "snapshot_class": reading.snapshot_class, "why_live": reading.why_live}


def _wanted_claim(claim: Claim, wanted: Wanted, found: Survey) -> WantedClaim:
    reading = found.readings.get((claim.namespace, claim.name), Reading())
    modes = wanted.spec.access_mode_mapping
    return WantedClaim(
        namespace=wanted.spec.namespace_for(claim.namespace),
        name=claim.name,
        bytes=claim.bytes,
        storage_class=wanted.class_for(claim.storage_class),
        access_modes=tuple(modes.get(mode, mode) for mode in claim.access_modes),
        mode=claim.mode,
        with_data=claim.is_bound and wanted.spec.include_volumes,
        source=claim.raw,
        users=tuple(found.users[claim.namespace].get(claim.name, ())),
        snapshot_class=reading.snapshot_class,
        why_live=reading.why_live,
    )


def _destination(side: Side, wanted: Wanted, context: Context, found: Survey) -> bool:
    """The engine's own checks of the destination; whether it is worth to look on."""
    spec = wanted.spec
    with side.asked(at_first=True) as connection:
        there, results = checks.destination_namespaces(connection, side, spec.destination_namespaces())
        found.checks += results
        # One that is not there yet comes with the labels and annotations of the source's.
        coming = {spec.namespace_for(name): namespace for name, namespace in found.namespaces.items()}
        context.namespaces = {**coming, **there}
        context.existing = frozenset(there)
        if failures(results):
            return False
        for name in spec.namespaces:
            here = spec.namespace_for(name)
            own, carried = context.namespaces[here], found.carried(name, spec)
            found.checks += checks.powers(connection, side, own, here, carried, found.users[name])
            if here in there:
                claims = [each for each in found.claims if each.namespace == name]
                try:
                    found.checks += checks.in_the_way(connection, side, name, claims, wanted)
                except errors.Forbidden:
                    # Told with all other permissions that are lacking.
                    continue
    return True
