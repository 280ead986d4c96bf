"""What adds, changes, checks and removes clusters, object stores and pairs. Pages and API call these.

Each change and its entry in the history are one transaction. The network is asked before or after, never inside: a
cluster that does not answer must not hold locks. What a check finds is kept with the row; it never prevents saving.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters import foreign_stores, object_storage, temporary_keys
from clusters.addresses import AddressRefusedError, require_allowed
from clusters.connections import connect
from clusters.kube import checks, errors, kubeconfig
from clusters.kube.checks import Check
from clusters.kube.connection import Connection
from clusters.kube.requests import tls_context
from clusters.models import (
    Cluster,
    ClusterPair,
    Engine,
    Health,
    ObjectStore,
    PairingJob,
    PortworxPairing,
    Provider,
)
from clusters.pair_checks import checks_of_pair, is_same_cluster
from clusters.pairing import jobs, options
from clusters.portworx import discovery as portworx_discovery
from teams.models import Team
from teams.refusals import Conflict, Refusal, Unavailable

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ADDRESS = re.compile(r"https?://[^/@]+$")
ROLE = re.compile(r"arn:[\w-]+:[\w-]+:[\w-]*:\w*:\S+")


def health_of(found: Iterable[Check]) -> str:
    """What the checks come to: the worst of them."""
    statuses = {check.status for check in found}
    if statuses == {"skipped"}:
        return Health.UNKNOWN
    if "failure" in statuses:
        return Health.FAILING
    return Health.WARNING if "warning" in statuses else Health.HEALTHY


# -- clusters


def add_cluster(team: Team, *, name: str, kubeconfig: str, description: str = "", by: Actor) -> Cluster:
    """A new cluster, checked. Raises Refusal for a kubeconfig that cannot be used, Conflict for a taken name."""
    cluster = Cluster(team=team, created_by=by.user, description=description.strip())
    cluster.name = _usable_name(Cluster, team, name)
    cluster.kubeconfig, cluster.server = _usable_kubeconfig(kubeconfig)
    with _saving(cluster):
        cluster.save()
        record(by, "cluster.add", cluster, after=cluster.to_audit())
    return _look_at_cluster(cluster)


def update_cluster(cluster: Cluster, *, by: Actor, **changed: Any) -> Cluster:
    """Change name, description or kubeconfig (an empty one keeps the old), and check anew. Raises as add_cluster."""
    before = cluster.to_audit()
    if "name" in changed:
        cluster.name = _usable_name(Cluster, cluster.team, changed["name"], but=cluster)
    if "description" in changed:
        cluster.description = changed["description"].strip()
    fields = ["name", "description"]
    renewed = bool((changed.get("kubeconfig") or "").strip())
    if renewed:
        cluster.kubeconfig, cluster.server = _usable_kubeconfig(changed["kubeconfig"])
        # It may lead to another cluster; the check that follows says to which.
        cluster.identity = ""
        fields += ["kubeconfig", "server", "identity"]
    with _saving(cluster):
        cluster.save(update_fields=fields)
        after = cluster.to_audit() | ({"kubeconfig": "replaced"} if renewed else {})
        record(by, "cluster.change", cluster, before=before, after=after)
    return _look_at_cluster(cluster) if renewed else cluster


def check_cluster(cluster: Cluster, *, by: Actor) -> Cluster:
    """Ask the cluster anew how it is."""
    before = cluster.health
    _look_at_cluster(cluster)
    record(by, "cluster.check", cluster, before={"health": before}, after={"health": cluster.health})
    return cluster


def remove_cluster(cluster: Cluster, *, by: Actor) -> None:
    """Forget the cluster; nothing happens on it. Raises Conflict while a pair uses it."""
    pairs = ClusterPair.objects.filter(models.Q(source=cluster) | models.Q(destination=cluster))
    _remove(cluster, "cluster.remove", pairs, by)


def namespaces_of(cluster: Cluster) -> list[str]:
    """The names of the cluster's namespaces, in order. Raises Refusal where it cannot be asked."""
    try:
        with connect(cluster) as connection:
            return sorted(row["metadata"]["name"] for row in connection.list("namespaces"))
    except errors.KubeError as error:
        raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(error.message) from None


def _usable_kubeconfig(text: str) -> tuple[str, str]:
    """The kubeconfig as given, and its server."""
    try:
        found = kubeconfig.parse(text)
        require_allowed(found.server)
        tls_context(found)
    except (kubeconfig.KubeconfigError, AddressRefusedError) as error:
        raise Refusal(str(error), errors={"kubeconfig": [str(error)]}) from None
    except errors.Invalid as error:
        raise Refusal(error.message, errors={"kubeconfig": [error.message]}) from None
    return text, found.server


def _look_at_cluster(cluster: Cluster) -> Cluster:
    try:
        config = kubeconfig.parse(cluster.kubeconfig)
        require_allowed(config.server)
        report = checks.check_cluster(config)
        cluster.portworx = _look_at_portworx(config, report) or cluster.portworx
    except (kubeconfig.KubeconfigError, AddressRefusedError) as error:
        report = checks.Report([Check("reachable", "failure", str(error), _("Give the cluster a new kubeconfig."))])
    if report.version:
        # What was learned earlier stays while the cluster is out of reach.
        cluster.version = report.version
        cluster.distribution = report.distribution
        cluster.storage_classes = report.storage_classes
        cluster.identity = report.identity or cluster.identity
    learned = ("version", "distribution", "storage_classes", "identity", "portworx")
    return _keep(cluster, report.checks, *learned)


def _look_at_portworx(config: kubeconfig.Kubeconfig, report: checks.Report) -> dict[str, Any] | None:
    """What the cluster has of Portworx and Stork, its checks added to the report; None while it is out of reach."""
    if not report.version:
        return None
    try:
        with Connection(config) as connection:
            found = portworx_discovery.discover(connection)
            report.checks += portworx_discovery.checks(found)
            if found.is_present:
                report.checks.append(portworx_discovery.permissions_check(connection))
    except errors.KubeError:
        # The checks before it say what is wrong with the cluster; whoever may not list pods has no Portworx to use.
        return None
    return found.to_dict() if found.is_present or found.stork.is_present else {"is_present": False}


# -- object stores


def add_object_store(
    team: Team,
    *,
    name: str,
    bucket: str,
    secret_access_key: str,
    access_key_id: str = "",
    provider: str = Provider.S3,
    account: str = "",
    endpoint: str = "",
    region: str = "us-east-1",
    prefix: str = "kubemotion",
    path_style: bool = True,
    ca_bundle: str = "",
    sts_role_arn: str = "",
    sts_endpoint: str = "",
    by: Actor,
) -> ObjectStore:
    """A new object store, checked. Raises Refusal for values that cannot be, Conflict for a taken name."""
    store = ObjectStore(team=team, created_by=by.user)
    store.name = _usable_name(ObjectStore, team, name)
    given = {
        "provider": provider,
        "account": account,
        "bucket": bucket,
        "endpoint": endpoint,
        "region": region,
        "prefix": prefix,
        "path_style": path_style,
        "ca_bundle": ca_bundle,
        "sts_role_arn": sts_role_arn,
        "sts_endpoint": sts_endpoint,
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
    }
    _fill_store(store, given)
    with _saving(store):
        store.save()
        record(by, "object_store.add", store, after=store.to_audit())
    return _look_at_store(store)


def update_object_store(store: ObjectStore, *, by: Actor, **changed: Any) -> ObjectStore:
    """Change what is given (an empty secret keeps the old one), and check anew. Raises as add_object_store."""
    before = store.to_audit()
    secrets = ("access_key_id", "secret_access_key")
    given = {key: value for key, value in changed.items() if not (key in secrets and not value)}
    if "name" in given:
        store.name = _usable_name(ObjectStore, store.team, given.pop("name"), but=store)
    if given.get("provider", store.provider) != store.provider:
        message = _("An object store stays with its provider. Add another one.")
        raise Refusal(message, errors={"provider": [message]})
    _fill_store(store, given)
    with _saving(store):
        store.save(update_fields=["name", *given])
        after = store.to_audit() | {key: "replaced" for key in (*secrets, "ca_bundle") if key in given}
        record(by, "object_store.change", store, before=before, after=after)
    return _look_at_store(store) if given else store


def check_object_store(store: ObjectStore, *, by: Actor) -> ObjectStore:
    """Try anew all that a migration does with the store."""
    before = store.health
    _look_at_store(store)
    record(by, "object_store.check", store, before={"health": before}, after={"health": store.health})
    return store


def remove_object_store(store: ObjectStore, *, by: Actor) -> None:
    """Forget the store; its objects stay. Raises Conflict while a pair uses it."""
    _remove(store, "object_store.remove", ClusterPair.objects.filter(object_store=store), by)


def _look_at_store(store: ObjectStore) -> ObjectStore:
    if not store.is_s3:
        return _keep(store, [foreign_stores.check(store)])
    found = object_storage.check_object_store(store)
    if all(each.status in ("ok", "warning") for each in found):
        found.append(temporary_keys.check(store))
        store.has_session_policies = found[-1].status == "ok"
    return _keep(store, found, "has_session_policies")


def _fill_store(store: ObjectStore, given: dict[str, Any]) -> None:
    """Set the fields, tidied. Raises Refusal that names each field that cannot be."""
    for field, value in given.items():
        setattr(store, field, value.strip() if isinstance(value, str) else value)
    if store.provider not in Provider.values:
        wrong: dict[str, list[Any]] = {"provider": [_("There is no such provider.")]}
    else:
        wrong = _wrong_s3(store) if store.is_s3 else foreign_stores.wrong(store)
    if wrong:
        raise Refusal(_("The object store cannot be as given."), errors=wrong)


def _wrong_s3(store: ObjectStore) -> dict[str, list[Any]]:
    wrong: dict[str, list[Any]] = {}
    store.endpoint = store.endpoint.rstrip("/")
    store.prefix = store.prefix.strip("/")
    if store.endpoint:
        if not ADDRESS.match(store.endpoint):
            wrong["endpoint"] = [_("Give the address alone, such as https://s3.example.com, without path or bucket.")]
        else:
            try:
                require_allowed(store.endpoint)
            except AddressRefusedError as error:
                wrong["endpoint"] = [str(error)]
    store.sts_endpoint = store.sts_endpoint.rstrip("/")
    if store.sts_endpoint:
        try:
            if not ADDRESS.match(store.sts_endpoint):
                raise AddressRefusedError(_("Give the address alone, such as https://sts.example.com, without path."))
            require_allowed(store.sts_endpoint)
        except AddressRefusedError as error:
            wrong["sts_endpoint"] = [str(error)]
    if store.sts_role_arn and not ROLE.fullmatch(store.sts_role_arn):
        wrong["sts_role_arn"] = [_("A role's ARN looks like arn:aws:iam::123456789012:role/movers.")]
    if not BUCKET.fullmatch(store.bucket):
        wrong["bucket"] = [_("A bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots.")]
    if store.ca_bundle:
        try:
            object_storage.require_certificates(store.ca_bundle)
        except object_storage.CaBundleError as error:
            wrong["ca_bundle"] = [str(error)]
    for field in ("region", "access_key_id", "secret_access_key"):
        if not getattr(store, field):
            wrong[field] = [_("This is needed.")]
    if store.account:
        wrong["account"] = [_("Only stores of Azure and Google have an account.")]
    return wrong


# -- pairs


def add_pair(
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
    pair.name = _usable_name(ClusterPair, team, name)
    given = {
        "source": source,
        "destination": destination,
        "object_store": object_store,
        "engine": engine,
        "storage_class_mapping": storage_class_mapping or {},
    }
    _fill_pair(pair, given)
    pairing = _filled_pairing(pair, portworx)
    with _saving(pair):
        pair.save()
        if pairing is not None:
            pairing.save()
        record(by, "pair.add", pair, after=_pair_to_audit(pair, pairing))
    return _keep(pair, checks_of_pair(pair))


def update_pair(pair: ClusterPair, *, by: Actor, **changed: Any) -> ClusterPair:
    """Change what is given, and check anew; a Portworx part that is on the clusters is validated next.

    Raises as add_pair; Conflict while a migration of the pair runs, and where a ClusterPair would be left behind.
    """
    pairing: PortworxPairing | None = getattr(pair, "portworx", None)
    before = _pair_to_audit(pair, pairing)
    named = str(pairing) if pairing is not None and pairing.is_on_clusters else ""
    given = dict(changed)
    portworx = given.pop("portworx", None)
    if "name" in given:
        pair.name = _usable_name(ClusterPair, pair.team, given.pop("name"), but=pair)
    moved = [
        field
        for field in ("source", "destination", "object_store", "engine")
        if field in given and given[field] != getattr(pair, field)
    ]
    _fill_pair(pair, given)
    pairing = _filled_pairing(pair, portworx)
    if pairing is not None and named not in ("", str(pairing)):
        message = _("ClusterPair %(named)s is on the source. Take the pair down before it gets another name.")
        raise Conflict(message % {"named": named}, errors={"object_name": [message % {"named": named}]})
    with _saving(pair):
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
    return _keep(pair, checks_of_pair(pair)) if given or portworx else pair


def check_pair(pair: ClusterPair, *, by: Actor) -> ClusterPair:
    """Check both clusters and the store anew, and how they fit together."""
    before = pair.health
    _look_at_cluster(pair.source)
    _look_at_cluster(pair.destination)
    _look_at_store(pair.object_store)
    _keep(pair, checks_of_pair(pair))
    record(by, "pair.check", pair, before={"health": before}, after={"health": pair.health})
    return pair


def keep_pair_checks(pair: ClusterPair) -> ClusterPair:
    """Keep what the pair's checks say now, from what is kept about its parts; nothing is asked over the network."""
    fresh = ClusterPair.objects.select_related("source", "destination", "object_store", "portworx").get(pk=pair.pk)
    return _keep(fresh, checks_of_pair(fresh))


def remove_pair(pair: ClusterPair, *, by: Actor) -> None:
    """Forget the pair. Raises Conflict while it has migrations."""
    used = pair.migrations.all()
    _remove(pair, "pair.remove", used, by)


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


def _fill_pair(pair: ClusterPair, given: dict[str, Any]) -> None:
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


# -- what all three share


def _usable_name(model: type[Any], team: Team, name: str, *, but: Any = None) -> str:
    name = name.strip()
    if not name or len(name) > 63:
        message = _("Give it a name of at most 63 characters.")
        raise Refusal(message, errors={"name": [message]})
    taken = model.objects.filter(team=team, name=name)
    if (taken if but is None else taken.exclude(pk=but.pk)).exists():
        raise _taken(model, name)
    return name


def _taken(model: type[Any], name: str) -> Conflict:
    message = _("The team already has a %(noun)s named %(name)s.") % {"noun": model._meta.verbose_name, "name": name}
    return Conflict(message, errors={"name": [message]})


@contextmanager
def _saving(row: Any) -> Iterator[None]:
    """A transaction in which the row is saved. Raises Conflict where somebody took the name a moment before."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise _taken(type(row), row.name) from None


def _keep[M: Cluster | ObjectStore | ClusterPair](row: M, found: list[Check], *learned: str) -> M:
    """Keep what the checks found with the row."""
    row.checks = [check.to_dict() for check in found]
    row.health = health_of(found)
    row.checked_at = timezone.now()
    # Not save(): the row may have been removed while its checks ran, and must not come back.
    kept = ("checks", "health", "checked_at", *learned)
    type(row).objects.filter(pk=row.pk).update(**{field: getattr(row, field) for field in kept})
    return row


def _remove(row: Any, action: str, users: models.QuerySet[Any], by: Actor) -> None:
    with transaction.atomic():
        names = ", ".join(str(user) for user in users[:5])
        if names:
            raise Conflict(_("%(name)s is in use by: %(users)s.") % {"name": row, "users": names})
        record(by, action, row, before=row.to_audit())
        row.delete()
