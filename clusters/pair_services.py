"""What adds, changes, checks and removes pairs. Pages and API call these; the rules are in `saving`."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters import cluster_services, store_services
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob, PortworxPairing
from clusters.pair_checks import checks_of_pair, is_same_cluster
from clusters.pairing import jobs, options
from clusters.saving import keep, remove_unused, saving, usable_name
from teams.models import Team
from teams.refusals import Conflict, Refusal


def add(
    team: Team,
    *,
    name: str,
    source: Cluster,
    destination: Cluster,
    object_store: ObjectStore,
    engine: str = Engine.NATIVE,
    storage_class_mapping: dict[str, str] | None = None,
    portworx: dict[str, Any] | None = None,
    by: Actor,
) -> ClusterPair:
    """A new pair, checked. Raises Refusal for parts that do not fit together, Conflict for a taken name.

    `portworx` holds fields of PortworxPairing, for that engine. Nothing happens on the clusters yet.
    """
    pair = ClusterPair(team=team, created_by=by.user)
    pair.name = usable_name(ClusterPair, team, name)
    given = {
        "source": source,
        "destination": destination,
        "object_store": object_store,
        "engine": engine,
        "storage_class_mapping": storage_class_mapping or {},
    }
    _fill(pair, given)
    pairing = _filled_pairing(pair, portworx)
    with saving(pair):
        pair.save()
        if pairing is not None:
            pairing.save()
        record(by, "pair.add", pair, after=_pair_to_audit(pair, pairing))
    return keep(pair, checks_of_pair(pair))


def update(pair: ClusterPair, *, by: Actor, **changed: Any) -> ClusterPair:
    """Change what is given, and check anew; a Portworx part that is on the clusters is validated next.

    Raises as add; Conflict while a migration of the pair runs, and where a ClusterPair would be left behind.
    """
    pairing: PortworxPairing | None = getattr(pair, "portworx", None)
    before = _pair_to_audit(pair, pairing)
    named = str(pairing) if pairing is not None and pairing.is_on_clusters else ""
    given = dict(changed)
    portworx = given.pop("portworx", None)
    if "name" in given:
        pair.name = usable_name(ClusterPair, pair.team, given.pop("name"), but=pair)
    moved = [
        field
        for field in ("source", "destination", "object_store", "engine")
        if field in given and given[field] != getattr(pair, field)
    ]
    _fill(pair, given)
    pairing = _filled_pairing(pair, portworx)
    if pairing is not None and named not in ("", str(pairing)):
        message = _("ClusterPair %(named)s is on the source. Take the pair down before it gets another name.")
        raise Conflict(message % {"named": named}, errors={"object_name": [message % {"named": named}]})
    with saving(pair):
        ClusterPair.objects.select_for_update().get(pk=pair.pk)
        if moved and pair.migrations.exists():
            raise Conflict(
                _("Migrations have gone over pair %(name)s: its clusters and store stay. Add another pair.")
                % {"name": pair.name}
            )
        pair.save(update_fields=["name", *given])
        if pairing is not None:
            pairing.save(update_fields=list(options.FIELDS) if pairing.pk else None)
        record(by, "pair.change", pair, before=before, after=_pair_to_audit(pair, pairing))
    # A job that is under way goes on with what is new: each look reads the settings anew.
    if portworx and pairing is not None and pairing.looked_at is not None and not pairing.is_working:
        jobs.request(pair, PairingJob.VALIDATE, by=by)
    return keep(pair, checks_of_pair(pair)) if given or portworx else pair


def check(pair: ClusterPair, *, by: Actor) -> ClusterPair:
    """Check both clusters and the store anew, and how they fit together."""
    before = pair.health
    cluster_services.look_at(pair.source)
    cluster_services.look_at(pair.destination)
    store_services.look_at(pair.object_store)
    keep(pair, checks_of_pair(pair))
    record(by, "pair.check", pair, before={"health": before}, after={"health": pair.health})
    return pair


def keep_checks(pair: ClusterPair) -> ClusterPair:
    """Keep what the pair's checks say now, from what is kept about its parts; nothing is asked over the network."""
    fresh = ClusterPair.objects.select_related("source", "destination", "object_store", "portworx").get(pk=pair.pk)
    return keep(fresh, checks_of_pair(fresh))


def remove(pair: ClusterPair, *, by: Actor) -> None:
    """Forget the pair. Raises Conflict while it has migrations."""
    used = pair.migrations.all()
    remove_unused(pair, "pair.remove", used, by)


def _pair_to_audit(pair: ClusterPair, pairing: PortworxPairing | None) -> dict[str, Any]:
    return pair.to_audit() | ({"portworx": pairing.to_audit()} if pairing is not None else {})


def _filled_pairing(pair: ClusterPair, given: dict[str, Any] | None) -> PortworxPairing | None:
    """The Portworx part of a pair of that engine; None for others. Raises Refusal."""
    if pair.engine != Engine.PORTWORX:
        if given:
            message = _("Only pairs of the engine portworx have these.")
            raise Refusal(message, errors={"portworx": [message]})
        return None
    known: PortworxPairing | None = getattr(pair, "portworx", None) if not pair._state.adding else None
    return options.filled(pair, known, given or {})


def _fill(pair: ClusterPair, given: dict[str, Any]) -> None:
    wrong: dict[str, list[Any]] = {}
    # A pair whose Portworx is down or has lost its licence can still be given another name or store.
    needs_portworx = pair._state.adding or any(
        field in given and given[field] != getattr(pair, field) for field in ("source", "destination", "engine")
    )
    for field, value in given.items():
        setattr(pair, field, value)
    for field in ("source", "destination", "object_store"):
        if getattr(pair, field).team_id != pair.team_id:
            wrong[field] = [_("This belongs to another team.")]
    if pair.source_id == pair.destination_id or is_same_cluster(pair):
        wrong["destination"] = [_("Source and destination are the same cluster.")]
    if pair.engine not in Engine.values:
        wrong["engine"] = [_("There is no such engine.")]
    elif pair.engine == Engine.NATIVE and not pair.object_store.is_s3:
        wrong["object_store"] = [_("The native engine needs an S3 store. Stores of Azure and Google are for Portworx.")]
    elif needs_portworx and pair.engine == Engine.PORTWORX:
        wrong |= {"engine": [reason]} if (reason := options.why_not(pair.source, pair.destination)) else {}
    mapping = pair.storage_class_mapping
    if not isinstance(mapping, dict) or not all(
        isinstance(word, str) and word for row in mapping.items() for word in row
    ):
        wrong["storage_class_mapping"] = [_("Give source class to destination class, both names.")]
    if wrong:
        raise Refusal(_("The pair cannot be as given."), errors=wrong)
