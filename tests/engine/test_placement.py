"""Where movers run, and how many at once: the rules by themselves, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from migrations_app.engines.native import placement

Object = dict[str, Any]
GPU = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
ZONE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}
MYSQL = {
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "mysql"}}],
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"nodeAffinity": {placement.REQUIRED: ZONE}, "podAntiAffinity": {"anything": []}},
    "tolerations": [GPU],
}


def on(node: str, **spec: Any) -> Object:
    return {"spec": {"nodeName": node, **spec}}


def test_beside_a_pod_is_its_node_with_its_tolerations() -> None:
    spec = placement.beside(on("worker-1", tolerations=[GPU])).spec()
    terms = spec["affinity"]["nodeAffinity"][placement.REQUIRED]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-1"]}]}]
    assert spec["tolerations"] == [GPU]


def test_a_first_consumer_goes_only_where_the_application_can() -> None:
    assert placement.where_it_can_run(MYSQL, decides=True).spec() == {
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {placement.REQUIRED: ZONE}},
        "tolerations": [GPU],
    }


def test_a_volume_that_is_there_leads_its_mover() -> None:
    assert placement.where_it_can_run(MYSQL, decides=False).spec() == {"tolerations": [GPU]}
    assert placement.where_it_can_run(None, decides=True).spec() == {}


@pytest.mark.parametrize(
    ("claim", "found"),
    [("mysql", "deployment"), ("report", "cron"), ("data-db-11", "set"), ("data-db-x", None), ("other", None)],
)
def test_the_workload_that_mounts_a_claim_is_found(claim: str, found: str | None) -> None:
    specs: dict[str | None, Object | None] = {
        None: None,
        "deployment": MYSQL,
        "cron": {"volumes": [{"persistentVolumeClaim": {"claimName": "report"}}]},
        "set": {"nodeSelector": {"of": "the set"}},
    }
    workloads = [
        {"kind": "Deployment", "spec": {"template": {"spec": specs["deployment"]}}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": specs["cron"]}}}}},
        {
            "kind": "StatefulSet",
            "metadata": {"name": "db"},
            "spec": {"template": {"spec": specs["set"]}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
        },
    ]
    use = placement.use_of(claim, workloads)
    assert (use and use.spec) == specs[found]


def test_a_cluster_takes_so_many_and_a_node_fewer() -> None:
    room = placement.room([on("a"), on("a"), on("b")], busy=3, nodes=5, per_cluster=6, per_node=3)
    assert room.takes("a")
    room.take("a")
    assert not room.takes("a")
    assert room.takes("b")
    assert room.takes()
    room.take()
    room.take("b")
    assert not room.takes()


@pytest.mark.parametrize(("nodes", "free"), [(1, 4), (3, 8), (None, 8), (0, 4)])
def test_few_nodes_take_few(nodes: int | None, free: int) -> None:
    assert placement.room([], busy=0, nodes=nodes, per_cluster=8, per_node=4).free == free
