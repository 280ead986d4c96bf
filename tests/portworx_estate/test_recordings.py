"""What a real Stork did with these objects and Migrations, done again by the simulated one.

Nothing may differ but what `replaying.comparable` leaves out and the comments beside the comparisons name: identities,
addresses and times, which every server gives anew; the bytes of volumes; elapsed times; the order of resources.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from demo import portworx
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx.storage import storage_of
from demo.s3 import RunningS3
from tests.portworx_estate import hand, replaying

Object = dict[str, Any]
PREFIX = replaying.PREFIX
RESOURCE_FIELDS = ("group", "version", "kind", "namespace", "name", "status", "reason", "transformedBy")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, store: RunningS3) -> Iterator[Mapping[str, ClusterHandle]]:
    """The recorded source on `dev`, an empty `prod`, and the recording's two pairs; no nodes, as there."""
    state = tmp_path_factory.mktemp("clusters")
    with running_clusters(state, nodes=False, extra=False) as clusters, portworx.installed(clusters):
        dev, prod = clusters["dev"], clusters["prod"]
        dev.call(replaying.plant)
        hand.create(dev, "applicationregistrations", _registration())
        credential = {
            "name": f"clusterPair_{prod.call(lambda api: storage_of(api).uuid)}",
            "provider": "s3",
            "access_key": store.keys.access_key_id,
            "secret_key": store.keys.secret_access_key,
            "region": store.region,
            "endpoint": store.endpoint,
            "bucket": store.bucket,
        }
        for cluster in clusters.values():
            cluster.call(lambda api: storage_of(api).add_credential(credential))
        token = prod.call(lambda api: storage_of(api).token)
        address = hand.load_balancer(prod)
        generated = replaying.documents("clusterpair-generated.yaml")[0]
        first = hand.pair_document("prodcluster", "cms", prod, **generated["spec"]["options"])
        hand.create(dev, "clusterpairs", first)
        hand.create(dev, "clusterpairs", hand.pair_document("pxpair", "cms", prod, ip=address, token=token))
        hand.create(
            dev, "clusterpairs", hand.pair_document("badpair", "cms", prod, ip=address, port="notaport", token=token)
        )
        hand.until(lambda: hand.statuses(dev, "cms", "pxpair") == ("Ready", "Ready"))
        hand.until(lambda: hand.statuses(dev, "cms", "prodcluster") == ("NotProvided", "Ready"))

        def bound() -> bool:
            claims = dev.call(lambda api: api.list("persistentvolumeclaims", "cms"))
            return sum(each["status"].get("phase") == "Bound" for each in claims) == 2

        hand.until(bound)
        yield clusters


def _registration() -> Object:
    """How the recording's Cache is stopped."""
    options = {"path": "spec.replicas", "type": "int"}
    return {
        "apiVersion": f"{hand.STORK}/v1alpha1",
        "kind": "ApplicationRegistration",
        "metadata": {"name": "cache"},
        "resources": [{"group": "demo.example.com", "version": "v1", "kind": "Cache", "suspendOptions": options}],
    }


def recorded(name: str) -> Object:
    """A recorded Migration."""
    return replaying.documents(f"{name}-migration.yaml")[0]


def replay(dev: ClusterHandle, name: str) -> Object:
    """Apply a recorded Migration as its author had, and wait for its end."""
    document = recorded(name)
    text = document["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    given = json.loads(text)
    hand.create(dev, "migrations", given)
    return hand.finished(dev, given["metadata"]["name"])


def resources(migration: Object) -> set[tuple[str, ...]]:
    return {tuple(each[field] for field in RESOURCE_FIELDS) for each in migration["status"]["resources"]}


def volumes(migration: Object) -> list[Object]:
    # The recording's stand-in for Portworx reported 100 MiB for each volume; here they are as large as they are.
    return [{**each, "bytesTotal": 0} for each in migration["status"]["volumes"] or ()]


@pytest.fixture(scope="module")
def stopped(replayed: Mapping[str, ClusterHandle]) -> Object:
    """The first migration: no volumes, applications stopped."""
    return replay(replayed["dev"], "m1")


def test_resources_with_stopped_applications(replayed: Mapping[str, ClusterHandle], stopped: Object) -> None:
    over, was = stopped, recorded("m1")
    assert over["spec"] == was["spec"]
    assert resources(over) == resources(was)
    assert volumes(over) == volumes(was)
    status, then = over["status"], was["status"]
    assert status.keys() == then.keys()
    assert (status["stage"], status["status"]) == (then["stage"], then["status"])
    for field in then["summary"]:
        if field != "elapsedTimeForResourceMigration":
            assert status["summary"][field] == then["summary"][field], field
    assert over["metadata"]["finalizers"] == was["metadata"]["finalizers"]
    told = {text for *_, text in hand.events(replayed["dev"], "cmsmigration")}
    lines = (replaying.RECORDINGS / "m1-events.txt").read_text().splitlines()[1:]
    then = {line.split(None, 4)[4] for line in lines}
    # Which other resources come first, and so get events of their own, is chance.
    assert {each for each in then if "PersistentVolume" in each} <= told
    assert len(told) == len(then)
    assert sum(each.startswith("(combined from similar events): ") for each in told) == 1


@pytest.mark.usefixtures("stopped")
def test_what_arrives(replayed: Mapping[str, ClusterHandle]) -> None:
    prod = replayed["prod"]
    seen = 0
    problems = []
    for was in replaying.objects("m1-dest.json"):
        if PREFIX + "migrationName" not in (was["metadata"].get("annotations") or {}) or was["kind"] == "Pod":
            continue
        # A copy that the Deployment controller makes.
        if was["kind"] == "ReplicaSet" and was["metadata"].get("ownerReferences"):
            continue
        kind, namespace, name = replaying.key(was)
        info = prod.api.registry.by_kind(was["apiVersion"], kind)
        assert info is not None, was
        resource = info.name
        found = prod.call(lambda api, at=(resource, namespace or None, name): api.get(*at))
        found = {**found, "kind": kind, "apiVersion": was["apiVersion"]}
        lines = replaying.changes(replaying.comparable(was), replaying.comparable(found))
        problems += [f"{kind} {namespace}/{name}{line}" for line in lines]
        seen += 1
    assert not problems, "\n".join(problems)
    assert seen > 30


def numbered(found: list[tuple[str, str, int, str]]) -> set[tuple[str, str, int, str]]:
    """Events without the order of chance in which resources are applied."""
    shown = set()
    for kind, reason, count, message in found:
        text = "(combined)" if message.startswith("(combined from similar events): ") else message
        shown.add((kind, reason, count, text))
    return shown


def test_only_volumes(replayed: Mapping[str, ClusterHandle]) -> None:
    over, was = replay(replayed["dev"], "m7"), recorded("m7")
    assert over["spec"] == was["spec"]
    assert resources(over) == resources(was)
    assert volumes(over) == volumes(was)
    for field in ("numOfMigratedResources", "totalNumberOfResources", "numOfMigratedVolumes", "totalNumberOfVolumes"):
        assert over["status"]["summary"][field] == was["status"]["summary"][field]
    assert (over["status"]["stage"], over["status"]["status"]) == ("Final", "Successful")
    assert numbered(hand.events(replayed["dev"], "m7")) == numbered(replaying.events("m7-events.txt"))


ENDPOINTS = "mysql"


def _without_annotations(api: Any) -> None:
    """In the recording the controller's Endpoints had lost their annotations by then, and so were taken along."""
    found = api.get("endpoints", "cms", ENDPOINTS)
    found["metadata"].pop("annotations", None)
    api.update("endpoints", found)


def test_selected_by_label(replayed: Mapping[str, ClusterHandle]) -> None:
    replayed["dev"].call(_without_annotations)
    over, was = replay(replayed["dev"], "m4"), recorded("m4")
    assert over["spec"] == was["spec"]
    assert resources(over) == resources(was)
    assert volumes(over) == volumes(was)
    assert over["status"]["status"] == was["status"]["status"] == "PartialSuccess"
    assert over["status"]["summary"]["numOfMigratedResources"] == was["status"]["summary"]["numOfMigratedResources"]
    assert numbered(hand.events(replayed["dev"], "m4")) == numbered(replaying.events("m4-events.txt"))


def _lose(api: Any) -> None:
    """What the recording's author deleted between the runs."""
    api.delete("configmaps", "cms", "owned-by-cr")
    api.delete("ingresses.networking.k8s.io", "cms", "wp")
    api.delete("routes.route.openshift.io", "cms", "wp")


@pytest.mark.usefixtures("stopped")
def test_purged(replayed: Mapping[str, ClusterHandle]) -> None:
    dev, prod = replayed["dev"], replayed["prod"]
    dev.call(_without_annotations)
    dev.call(_lose)
    over, was = replay(dev, "m3"), recorded("m3")
    address = prod.call(lambda api: api.get("services", "cms", "pinned"))["spec"]["clusterIP"]
    assert {repr(each).replace(address, "10.96.88.1") for each in resources(over)} == {
        repr(each) for each in resources(was)
    }
    assert volumes(over) == volumes(was)
    for field in ("numOfMigratedResources", "totalNumberOfResources", "numOfMigratedVolumes"):
        assert over["status"]["summary"][field] == was["status"]["summary"][field]
    assert over["status"]["status"] == was["status"]["status"]
    told, then = numbered(hand.events(dev, "m3")), numbered(replaying.events("m3-events.txt"))
    # Which resources come first, and so get events of their own, is chance; how many events there are is not. One of
    # the recorded failures had no event: it came after the twenty-five that are let through.
    assert {each for each in then if "Volume" in each[3]} <= told
    assert sum(count for _, _, count, _ in told) == sum(count for _, _, count, _ in then) == 25


def test_transformation_that_failed(replayed: Mapping[str, ClusterHandle]) -> None:
    """Such a Migration stays blank for ever. (Transformations are only looked up here, never carried out.)"""
    dev = replayed["dev"]
    head = {"apiVersion": f"{hand.STORK}/v1alpha1", "kind": "ResourceTransformation"}
    transformation = {**head, "metadata": {"name": "t1", "namespace": "cms"}, "status": {"status": "Failed"}}
    hand.create(dev, "resourcetransformations", transformation)
    was = recorded("m9")
    hand.create(
        dev,
        "migrations",
        {name: was[name] for name in ("apiVersion", "kind")}
        | {
            "metadata": {"name": "m9", "namespace": "cms"},
            "spec": {
                "clusterPair": "pxpair",
                "namespaces": ["cms"],
                "startApplications": False,
                "transformSpecs": ["t1"],
            },
        },
    )
    hand.until(lambda: hand.events(dev, "m9"))
    (kind, reason, _, message), *rest = hand.events(dev, "m9")
    assert ([(kind, reason, message)], rest) == (
        [each[:2] + each[3:] for each in replaying.events("m9-events.txt")],
        [],
    )
    found = hand.get(dev, "migrations", "cms", "m9")
    assert found["spec"] == was["spec"]
    # How long it has been waiting.
    elapsed = "elapsedTimeForVolumeMigration"
    assert {**found["status"]["summary"], elapsed: ""} == {**was["status"]["summary"], elapsed: ""}
    assert {**found["status"], "summary": None} == {**was["status"], "summary": None}
