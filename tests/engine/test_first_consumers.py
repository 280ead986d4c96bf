"""Disks that come into being with the mover lie where the application's pods can have all that they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrations_app.engines.native.placement import REQUIRED
from migrations_app.models import Migration, Status
from tests.engine.conftest import Estate, eventually, told

Object = dict[str, Any]
NAMESPACE = "placed"
CLAIMS = "persistentvolumeclaims"
ZONE = "topology.kubernetes.io/zone"
LABELS = {"app": "db"}


def template(*claims: str, **spec: Any) -> Object:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    container = {"name": "main", "image": "example.com/app:1", **spec.pop("container", {})}
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [container], "volumes": volumes, **spec}}


def workload(kind: str, pod: Object, **spec: Any) -> Object:
    """A workload that is stopped, so that its template alone tells where its pods can run."""
    given = {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": pod, **spec}
    return {"kind": kind, "metadata": {"name": "db", "namespace": NAMESPACE}, "spec": given}


@pytest.fixture
def placed(estate: Estate) -> Iterator[Estate]:
    """An empty namespace on the source; nodes of the destination are as before afterwards."""
    dev, prod = estate.on("dev"), estate.on("prod")
    dev.create("namespaces", {"metadata": {"name": NAMESPACE}})
    before = {each["metadata"]["name"]: each["metadata"]["labels"] for each in prod.list("nodes")}
    yield estate
    for connection in (dev, prod):
        connection.delete("namespaces", NAMESPACE)
        eventually(lambda c=connection: NAMESPACE not in {each["metadata"]["name"] for each in c.list("namespaces")})
    for node in prod.list("nodes"):
        added = set(node["metadata"]["labels"]) - set(before[node["metadata"]["name"]])
        prod.patch("nodes", node["metadata"]["name"], None, {"metadata": {"labels": dict.fromkeys(added)}})


def claims(estate: Estate, *names: str) -> None:
    """Bound claims on the source, too large to share a mover."""
    dev = estate.on("dev")
    node = dev.list("nodes")
    chosen = {"volume.kubernetes.io/selected-node": next(iter(node))["metadata"]["name"]}
    for name in names:
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gp3",
            "resources": {"requests": {"storage": "20Gi"}},
        }
        metadata = {"name": name, "namespace": NAMESPACE, "annotations": chosen}
        dev.create(CLAIMS, {"metadata": metadata, "spec": spec})

    def bound() -> bool:
        return all(each["status"].get("phase") == "Bound" for each in dev.list(CLAIMS, NAMESPACE))

    eventually(bound)
    for name in names:
        (estate.dev.volume_path(NAMESPACE, name) / "file").write_text(f"of {name}")


def places(estate: Estate) -> dict[str, str]:
    """The zone of each claim's disk on the destination."""
    prod = estate.on("prod")
    found = {}
    for claim in prod.list(CLAIMS, NAMESPACE):
        disk = prod.get("persistentvolumes", claim["spec"]["volumeName"])
        (term,) = disk["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        (expression,) = term["matchExpressions"]
        found[claim["metadata"]["name"]] = expression["values"][0]
    return found


def moved(estate: Estate, **fields: Any) -> Migration:
    migration = estate.drive(estate.start(namespaces=[NAMESPACE], **fields))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    return migration


def zones(estate: Estate) -> dict[str, str]:
    """The destination's nodes by zone."""
    return {node["metadata"]["labels"][ZONE]: node["metadata"]["name"] for node in estate.on("prod").list("nodes")}


def test_all_disks_of_one_pod_come_into_being_where_it_can_have_them_together(placed: Estate) -> None:
    claims(placed, "data", "log", "backup")
    placed.on("dev").create("deployments.apps", workload("Deployment", template("data", "log", "backup")))
    moved(placed)
    assert len(set(places(placed).values())) == 1, places(placed)


def test_a_disk_of_an_earlier_migration_leads_those_that_come_later(placed: Estate) -> None:
    claims(placed, "data", "log")
    placed.on("dev").create("deployments.apps", workload("Deployment", template("data", "log")))
    last = max(zones(placed))
    prod = placed.on("prod")
    prod.create("namespaces", {"metadata": {"name": NAMESPACE}})
    there = {"volume.kubernetes.io/selected-node": zones(placed)[last]}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3-csi",
        "resources": {"requests": {"storage": "20Gi"}},
    }
    metadata = {"name": "log", "namespace": NAMESPACE, "annotations": there}
    prod.create(CLAIMS, {"metadata": metadata, "spec": spec})
    eventually(lambda: prod.get(CLAIMS, "log", NAMESPACE)["status"].get("phase") == "Bound")
    moved(placed)
    assert places(placed) == {"data": last, "log": last}


AFFINITY = {"labelSelector": {"matchLabels": LABELS}, "topologyKey": ZONE}
SPREAD = {**AFFINITY, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}


@pytest.mark.parametrize(
    "rule",
    [{"affinity": {"podAntiAffinity": {REQUIRED: [AFFINITY]}}}, {"topologySpreadConstraints": [SPREAD]}],
    ids=["anti-affinity", "spread"],
)
def test_replicas_that_must_not_be_in_one_zone_get_their_disks_apart(
    placed: Estate, settings: Any, rule: Object
) -> None:
    # One after the other: each would find the same node the emptiest.
    settings.MOVERS_PER_CLUSTER = 1
    claims(placed, "data-db-0", "data-db-1", "data-db-2")
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3"}}
    claim["spec"]["resources"] = {"requests": {"storage": "20Gi"}}  # type: ignore[index]
    stateful = workload("StatefulSet", template(**rule), serviceName="db", volumeClaimTemplates=[claim])
    placed.on("dev").create("statefulsets.apps", stateful)
    moved(placed)
    assert sorted(places(placed).values()) == sorted(zones(placed)), places(placed)


def test_what_a_rule_makes_of_the_template_decides(placed: Estate) -> None:
    """No node of the destination is as the source's template asks."""
    claims(placed, "data")
    pod = template("data", nodeSelector={"pool": "east"})
    placed.on("dev").create("deployments.apps", workload("Deployment", pod))
    last = max(zones(placed))
    placed.on("prod").patch("nodes", zones(placed)[last], None, {"metadata": {"labels": {"pool": "west"}}})
    west = {
        "conditions": {"kinds": ["deployments.apps"]},
        "mergePatches": [{"spec": {"template": {"spec": {"nodeSelector": {"pool": "west"}}}}}],
    }
    moved(placed, transformations=[{"name": "ours", "rules": [west]}])
    assert places(placed) == {"data": last}


def test_a_disk_comes_into_being_where_there_is_room_for_the_application(placed: Estate) -> None:
    claims(placed, "data")
    asks = {"resources": {"requests": {"memory": "8Gi"}}}
    placed.on("dev").create("deployments.apps", workload("Deployment", template("data", container=asks)))
    prod = placed.on("prod")
    prod.create("namespaces", {"metadata": {"name": NAMESPACE}})
    full = sorted(zones(placed))[:2]

    def pod(name: str, zone: str, memory: str) -> None:
        container = {
            "name": "main",
            "image": "example.com/app:1",
            "resources": {"requests": {"memory": memory}, "limits": {"memory": memory}},
        }
        spec = {"containers": [container], "nodeName": zones(placed)[zone], "terminationGracePeriodSeconds": 1}
        prod.create("pods", {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    for zone in full:
        pod(f"full-{zone}", zone, "26Gi")
    last = max(zones(placed))
    # The scheduler alone would rather take a node with fewer pods.
    for number in range(12):
        pod(f"small-{number}", last, "1Mi")
    eventually(lambda: all(each["status"].get("phase") == "Running" for each in prod.list("pods", NAMESPACE)))
    moved(placed)
    assert places(placed) == {"data": last}
