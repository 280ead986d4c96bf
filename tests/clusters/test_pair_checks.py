"""Whether two clusters go together: seen before anything is moved, from what their own checks learned."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from audit.actor import Actor
from clusters import cluster_services, pair_services, store_services
from clusters.models import Cluster, ClusterPair, Health
from demo.s3 import RunningS3
from teams.models import Team
from teams.refusals import Refusal
from tests import factories

pytestmark = pytest.mark.django_db


def found(pair: ClusterPair, code: str) -> dict[str, str]:
    return next(check for check in pair.checks if check["code"] == code)


def named(clusters: Any, name: str, team: Team, by: Actor, *, as_name: str = "") -> Cluster:
    text = yaml.safe_dump(clusters[name].kubeconfig)
    return cluster_services.add(team, name=as_name or name, kubeconfig=text, by=by)


def test_two_real_clusters_and_a_store_go_together(clusters: Any, s3: RunningS3, team: Team, by: Actor) -> None:
    store = store_services.add(
        team,
        name="moves",
        endpoint=s3.endpoint,
        bucket=s3.bucket,
        access_key_id=s3.keys.access_key_id,
        secret_access_key=s3.keys.secret_access_key,
        by=by,
    )
    source, destination = named(clusters, "dev", team, by), named(clusters, "prod", team, by)
    mapping = {"gp3": "gp3-csi", "efs-rwx": "efs-sc"}
    pair = pair_services.add(
        team,
        name="dev-to-prod",
        source=source,
        destination=destination,
        object_store=store,
        storage_class_mapping=mapping,
        by=by,
    )
    assert {check["status"] for check in pair.checks} == {"ok"}, pair.checks
    assert pair.health == Health.HEALTHY
    assert source.identity
    assert source.identity != destination.identity
    pair_services.check(pair, by=by)
    assert pair.health == Health.HEALTHY


def test_one_cluster_under_two_names_is_no_pair(clusters: Any, team: Team, by: Actor) -> None:
    """A token instead of the certificate, and the server by another name: still the same cluster."""
    first = named(clusters, "dev", team, by)
    other = copy.deepcopy(clusters["dev"].kubeconfig)
    server = other["clusters"][0]["cluster"]["server"]
    other["clusters"][0]["cluster"]["server"] = server.replace("127.0.0.1", "localhost")
    second = cluster_services.add(team, name="again", kubeconfig=yaml.safe_dump(other), by=by)
    assert second.server != first.server
    with pytest.raises(Refusal) as refused:
        pair_services.add(
            team,
            name="loop",
            source=first,
            destination=second,
            object_store=factories.object_store(team),
            by=by,
        )
    assert refused.value.errors == {"destination": ["Source and destination are the same cluster."]}
    assert not ClusterPair.objects.exists()


def test_a_cluster_that_turns_into_the_other_one_fails_the_pair(clusters: Any, team: Team, by: Actor) -> None:
    source, destination = named(clusters, "dev", team, by), named(clusters, "prod", team, by)
    pair = factories.pair(team, source=source, destination=destination)
    cluster_services.update(destination, kubeconfig=yaml.safe_dump(clusters["dev"].kubeconfig), by=by)
    pair_services.check(ClusterPair.objects.get(pk=pair.pk), by=by)
    pair.refresh_from_db()
    failed = found(pair, "different-clusters")
    assert (failed["status"], failed["message"]) == ("failure", "dev and prod are the same cluster.")
    assert failed["remedy"]
    assert pair.health == Health.FAILING


def checked_anew(pair: ClusterPair) -> ClusterPair:
    """The pair with checks made from the rows as they are, without asking the network."""
    return pair_services.update(pair, storage_class_mapping=pair.storage_class_mapping, by=Actor())


@pytest.mark.parametrize(
    ("source", "destination", "status", "words"),
    [
        (("v1.33.1", "OpenShift"), ("v1.36.2", "OpenShift"), "ok", "v1.33.1 and v1.36.2 go together"),
        (("v1.36.2", "EKS"), ("v1.36.0+k3s1", "K3s"), "ok", "go together"),
        (("v1.36.2", "OpenShift"), ("v1.33.1", "OpenShift"), "warning", "v1.33.1, which is older than"),
        (("v1.36.2", "OpenShift"), ("v1.36.2", "Kubernetes"), "warning", "the destination is not"),
        (("v1.36.2", "Kubernetes"), ("v1.36.2", "OpenShift"), "ok", "go together"),
        (("v1.36.2", "Kubernetes"), ("", ""), "skipped", "Not known"),
    ],
)
def test_an_older_or_plainer_destination_is_warned_of(
    team: Team, source: tuple[str, str], destination: tuple[str, str], status: str, words: str
) -> None:
    pair = factories.pair(team)
    for cluster, (version, distribution) in ((pair.source, source), (pair.destination, destination)):
        cluster.version, cluster.distribution = version, distribution
        cluster.save()
    check = found(checked_anew(pair), "versions")
    assert check["status"] == status
    assert words in check["message"]
    assert bool(check["remedy"]) == (status == "warning")


def test_clusters_that_do_not_say_who_they_are_are_not_called_the_same(team: Team) -> None:
    pair = checked_anew(factories.pair(team))
    assert found(pair, "different-clusters")["status"] == "skipped"


def test_only_classes_that_volumes_use_have_to_be_mapped(team: Team) -> None:
    pair = factories.pair(team, storage_class_mapping={"gp3": "gp3-csi"})
    for claims, status in ((0, "ok"), (1, "warning"), (None, "warning")):
        pair.source.storage_classes = [{"name": "gp3", "claims": 4}, {"name": "efs-rwx", "claims": claims}]
        assert found(checked_anew(pair), "storage-class-mapping")["status"] == status
    assert "efs-rwx" in found(pair, "storage-class-mapping")["message"]
