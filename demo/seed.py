"""What the product knows at the demo's first start: a person, a team, both clusters, the store and two pairs.

Everything goes through the product's own services, as if a person had entered it. A second start finds its own work
and only renews what the new start changed (ports, keys).
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import get_user_model

from audit.actor import Actor
from clusters import cluster_services, pair_services, store_services
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob
from clusters.pairing import jobs, options
from demo.run import PASSWORD, USER
from teams.models import ApiToken, Membership, Role, Team

TEAM = "Content platform"
PAIRING_SECONDS = 90.0
PORTWORX_PAIR = "dev-to-prod-portworx"
STORAGE_CLASSES = {"gp3": "gp3-csi", "efs-rwx": "efs-sc"}


def seed(kubeconfigs: dict[str, str], s3: dict[str, Any]) -> None:
    """Make, or bring up to date, what the demo starts with."""
    user, made = get_user_model().objects.get_or_create(
        username=USER, defaults={"is_staff": True, "is_superuser": True}
    )
    if made:
        user.set_password(PASSWORD)
        user.save()
    team, _made = Team.objects.get_or_create(name=TEAM)
    Membership.objects.update_or_create(team=team, user=user, defaults={"role": Role.ADMIN})
    by = Actor(user=user, address="127.0.0.1", user_agent="manage.py demo")
    clusters = {name: _cluster(team, name, kubeconfig, by) for name, kubeconfig in kubeconfigs.items()}
    store = _object_store(team, s3, by)
    ends: dict[str, Any] = {"source": clusters["dev"], "destination": clusters["prod"], "object_store": store}
    if not ClusterPair.objects.filter(team=team, name="dev-to-prod").exists():
        pair_services.add(team, name="dev-to-prod", storage_class_mapping=STORAGE_CLASSES, by=by, **ends)
    if not ClusterPair.objects.filter(team=team, name=PORTWORX_PAIR).exists():
        _wait_for_portworx(clusters["dev"], clusters["prod"], by)
        pair_services.add(team, name=PORTWORX_PAIR, engine=Engine.PORTWORX, by=by, **ends)
    _set_up(ClusterPair.objects.get(team=team, name=PORTWORX_PAIR), by)


def _wait_for_portworx(source: Cluster, destination: Cluster, by: Actor) -> None:
    """Its pods start with the clusters; checks find them once they run. Raises TimeoutError."""
    deadline = time.monotonic() + PAIRING_SECONDS
    while not options.can_use_portworx(source, destination):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Portworx does not run: {options.why_not(source, destination)}")
        time.sleep(0.5)
        for cluster in (source, destination):
            cluster_services.check(cluster, by=by)


def _set_up(pair: ClusterPair, by: Actor) -> None:
    """Pair the clusters as the button does, and look until Stork says that it is done. Raises TimeoutError."""
    if jobs.pairing_of(pair).is_ready:
        return
    pairing = jobs.request(pair, PairingJob.SET_UP, by=by)
    deadline = time.monotonic() + PAIRING_SECONDS
    while not pairing.is_ready:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the pair {pair.name} did not become ready: {pairing.steps}")
        jobs.look(pairing.pk)
        time.sleep(0.2)
        pairing.refresh_from_db()


def token() -> str:
    """A fresh API token of the demo's person; earlier ones of this name are revoked."""
    user = get_user_model().objects.get(username=USER)
    ApiToken.objects.filter(user=user, name="demo").delete()
    return ApiToken.issue(user, "demo")[1]


DESCRIPTIONS = {"dev": "Development, Ohio (us-east-2)", "prod": "Production, Oregon (us-west-2)"}


def _cluster(team: Team, name: str, kubeconfig: str, by: Actor) -> Cluster:
    known = Cluster.objects.filter(team=team, name=name).first()
    if known is None:
        return cluster_services.add(team, name=name, kubeconfig=kubeconfig, description=DESCRIPTIONS[name], by=by)
    if known.kubeconfig != kubeconfig:
        cluster_services.update(known, kubeconfig=kubeconfig, by=by)
    return known


def _object_store(team: Team, s3: dict[str, Any], by: Actor) -> ObjectStore:
    fields = {
        "endpoint": s3["endpoint"],
        "region": s3["region"],
        "bucket": s3["bucket"],
        "access_key_id": s3["access_key_id"],
        "secret_access_key": s3["secret_access_key"],
    }
    known = ObjectStore.objects.filter(team=team, name="embedded").first()
    if known is None:
        return store_services.add(team, name="embedded", prefix="kubemotion", path_style=True, by=by, **fields)
    if any(getattr(known, name) != value for name, value in fields.items()):
        store_services.update(known, by=by, **fields)
    return known
