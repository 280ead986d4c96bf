"""Services of clusters, stores and pairs where no cluster has to answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audit.actor import Actor
from audit.models import Entry
from clusters import cluster_services, pair_services, store_services
from clusters.kube.checks import Check
from clusters.models import Cluster, ClusterPair, Health, ObjectStore
from clusters.saving import health_of
from demo.s3 import RunningS3
from teams.models import Team
from teams.refusals import Conflict, Refusal
from tests import factories

pytestmark = pytest.mark.django_db


def kubeconfig(server: str = "https://127.0.0.1:1", token: str = "sesame-token") -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
    )


def test_a_cluster_out_of_reach_is_added_and_says_so(team: Team, by: Actor) -> None:
    cluster = cluster_services.add(team, name=" dev ", kubeconfig=kubeconfig(), by=by)
    kept = Cluster.objects.get(pk=cluster.pk)
    assert (kept.name, kept.server, kept.health) == ("dev", "https://127.0.0.1:1", Health.FAILING)
    assert kept.checks[0]["code"] == "reachable"
    assert kept.checks[0]["status"] == "failure"
    assert kept.checks[0]["remedy"]
    assert {check["status"] for check in kept.checks[1:]} == {"skipped"}
    assert kept.checked_at is not None


def test_adding_changing_checking_and_removing_a_cluster_are_in_the_history_without_secrets(
    team: Team, by: Actor
) -> None:
    cluster = cluster_services.add(team, name="dev", kubeconfig=kubeconfig(), by=by)
    cluster_services.update(cluster, name="development", kubeconfig=kubeconfig(token="sesame-two"), by=by)
    cluster_services.check(cluster, by=by)
    cluster_services.remove(cluster, by=by)
    entries = list(Entry.objects.order_by("pk"))
    assert [entry.action for entry in entries] == ["cluster.add", "cluster.change", "cluster.check", "cluster.remove"]
    assert {entry.actor_name for entry in entries} == {"alice"}
    assert {entry.team_id for entry in entries} == {team.pk}
    assert entries[1].before == {"name": "dev"}
    assert entries[1].after == {"name": "development", "kubeconfig": "replaced"}
    assert "sesame" not in json.dumps([[entry.before, entry.after] for entry in entries])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not a kubeconfig"),
        (kubeconfig(server="http://dev.example.com"), "https://"),
        (kubeconfig(server="https://169.254.169.254"), "metadata"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused_at_its_field(team: Team, by: Actor, text: str, words: str) -> None:
    with pytest.raises(Refusal) as refused:
        cluster_services.add(team, name="dev", kubeconfig=text, by=by)
    assert words in refused.value.errors["kubeconfig"][0]
    assert "sesame" not in str(refused.value)
    assert not Cluster.objects.exists()
    assert not Entry.objects.exists()


def test_loopback_is_refused_where_the_installation_does_not_allow_it(team: Team, by: Actor, settings: Any) -> None:
    settings.ALLOW_LOOPBACK = False
    for server in ("https://127.0.0.1:6443", "https://[::1]:6443", "https://[::ffff:127.0.0.1]:6443"):
        with pytest.raises(Refusal):
            cluster_services.add(team, name="dev", kubeconfig=kubeconfig(server=server), by=by)


def test_a_stored_address_that_is_no_longer_allowed_is_not_connected_to(team: Team, by: Actor, settings: Any) -> None:
    cluster = cluster_services.add(team, name="dev", kubeconfig=kubeconfig(), by=by)
    settings.ALLOW_LOOPBACK = False
    cluster_services.check(cluster, by=by)
    assert "this server itself" in cluster.checks[0]["message"]
    with pytest.raises(Refusal):
        cluster_services.namespaces_of(cluster)


def test_a_name_is_taken_once_per_team(team: Team, by: Actor) -> None:
    cluster_services.add(team, name="dev", kubeconfig=kubeconfig(), by=by)
    with pytest.raises(Conflict) as refused:
        cluster_services.add(team, name="dev", kubeconfig=kubeconfig(), by=by)
    assert "dev" in refused.value.errors["name"][0]
    cluster_services.add(Team.objects.create(name="Other"), name="dev", kubeconfig=kubeconfig(), by=by)


def test_an_object_store_is_added_checked_and_keeps_its_secret_when_none_is_given(
    team: Team, by: Actor, s3: RunningS3
) -> None:
    store = store_services.add(
        team,
        name="moves",
        endpoint=f"{s3.endpoint}/",
        bucket=s3.bucket,
        prefix="/moves/",
        access_key_id=s3.keys.access_key_id,
        secret_access_key=s3.keys.secret_access_key,
        by=by,
    )
    assert (store.health, store.prefix, store.endpoint) == (Health.HEALTHY, "moves", s3.endpoint)
    store_services.update(store, prefix="elsewhere", secret_access_key="", by=by)
    kept = ObjectStore.objects.get(pk=store.pk)
    assert (kept.prefix, kept.secret_access_key, kept.health) == (
        "elsewhere",
        s3.keys.secret_access_key,
        Health.HEALTHY,
    )
    store_services.update(store, secret_access_key="sesame-wrong", by=by)
    assert ObjectStore.objects.get(pk=store.pk).health == Health.FAILING
    assert "sesame" not in json.dumps([[entry.before, entry.after] for entry in Entry.objects.all()])


def test_every_field_of_a_store_that_cannot_be_is_named_at_once(team: Team, by: Actor) -> None:
    with pytest.raises(Refusal) as refused:
        store_services.add(
            team,
            name="moves",
            endpoint="https://s3.example.com/bucket",
            region="",
            bucket="No Bucket",
            access_key_id="",
            secret_access_key="s",
            ca_bundle="nonsense",
            by=by,
        )
    assert refused.value.errors.keys() == {"endpoint", "region", "bucket", "access_key_id", "ca_bundle"}


def test_a_pair_of_parts_of_other_teams_or_of_one_cluster_is_refused(team: Team, by: Actor) -> None:
    other = Team.objects.create(name="Other")
    dev, prod = factories.cluster(team, "dev"), factories.cluster(other, "prod")
    with pytest.raises(Refusal) as refused:
        pair_services.add(
            team,
            name="pair",
            source=dev,
            destination=prod,
            object_store=factories.object_store(other),
            by=by,
        )
    assert refused.value.errors.keys() == {"destination", "object_store"}
    with pytest.raises(Refusal) as refused:
        pair_services.add(
            team, name="pair", source=dev, destination=dev, object_store=factories.object_store(team), by=by
        )
    assert refused.value.errors.keys() == {"destination"}
    assert not ClusterPair.objects.exists()


def test_what_a_pair_uses_and_a_pair_with_migrations_are_not_removed(team: Team, by: Actor) -> None:
    pair = factories.pair(team)
    factories.migration(pair)
    for remove, row in (
        (cluster_services.remove, pair.source),
        (cluster_services.remove, pair.destination),
        (store_services.remove, pair.object_store),
        (pair_services.remove, pair),
    ):
        with pytest.raises(Conflict) as refused:
            remove(row, by=by)
        assert "in use by" in str(refused.value)
    assert ClusterPair.objects.exists()


def test_a_pair_that_has_migrations_keeps_its_clusters_but_may_be_renamed(team: Team, by: Actor) -> None:
    pair = factories.pair(team)
    factories.migration(pair)
    with pytest.raises(Conflict):
        pair_services.update(pair, destination=factories.cluster(team, "third"), by=by)
    pair.refresh_from_db()
    pair_services.update(pair, name="renamed", by=by)
    kept = ClusterPair.objects.get(pk=pair.pk)
    assert (kept.name, kept.destination.name) == ("renamed", "prod")


def test_a_pair_whose_mapping_names_a_class_that_is_not_there_fails_its_checks(team: Team, by: Actor) -> None:
    pair = factories.pair(team)
    pair_services.update(pair, storage_class_mapping={"gp3": "gone"}, by=by)
    found = {check["code"]: check for check in pair.checks}["storage-class-mapping"]
    assert found["status"] == "failure"
    assert "gone" in found["message"]
    assert "gp3-csi" in found["remedy"]
    assert pair.health == Health.FAILING


def test_health_is_the_worst_of_the_checks() -> None:
    def of(*statuses: Any) -> str:
        return health_of(Check("code", status, "") for status in statuses)

    assert of("ok", "ok") == Health.HEALTHY
    assert of("ok", "warning") == Health.WARNING
    assert of("warning", "failure", "skipped") == Health.FAILING
