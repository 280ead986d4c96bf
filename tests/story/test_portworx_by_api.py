"""The story's fourteen rows through the API, from a product that knows nothing to a pair that is taken down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from demo.check import FINISHED, page_of
from demo.portworx.storage import VERSION, storage_of
from demo.trees import differences
from tests.portworx_engine import described, nine
from tests.portworx_estate import hand
from tests.story.from_nothing import Beginning, beginning

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
STEPS = {
    "clusters": "Portworx",
    "uuid": "",
    "credentials-destination": "was made; the object store accepts it.",
    "credentials-source": "was made; the object store accepts it.",
    "token": "128 characters; it is not kept here.",
    "endpoint": "answers.",
    "document": "ClusterPair cms/prodcluster for prod.",
    "applied": "ClusterPair cms/prodcluster created on dev.",
    "status": "Storage and scheduler are Ready.",
}


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beginning]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with beginning(tmp_path) as made:
        yield made


def until[T](look: Callable[[], T], holds: Callable[[T], bool], *, seconds: float = 120) -> T:
    """What `look` returns, once the condition holds for it."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < deadline, json.dumps(found, indent=1, default=str)
        time.sleep(0.2)


def job(begun: Beginning, pair: str, verb: str, **body: Any) -> dict[str, Any]:
    """Ask for a job of the pair, and wait for its end."""
    begun.api.call("POST", f"{pair}{verb}/", body)
    return until(lambda: begun.api.call("GET", f"{pair}steps/"), lambda found: not found["is_working"])


def test_the_story_from_nothing_by_the_api(begun: Beginning) -> None:
    api, dev, prod = begun.api, begun.dev, begun.prod
    secrets = [begun.store.keys.secret_access_key, begun.store.keys.access_key_id, prod.call(storage_of).token]
    given = {"team": api.call("POST", "/teams/", {"name": "Content platform"})["id"]}

    # 1: both clusters, with nodes, Portworx, pools, capacity, licence and versions.
    rows = {
        name: api.call("POST", "/clusters/", {**given, "name": name, "kubeconfig": begun.kubeconfig(name)})
        for name in ("dev", "prod")
    }
    for name, row in rows.items():
        assert row["health"] == "healthy", row["checks"]
        found = row["portworx"]
        assert (found["version"], found["namespace"]) == (VERSION, "kube-system")
        assert found["is_operational"]
        assert found["licence"].startswith("Trial")
        assert found["licence_allows"]
        assert [node["is_online"] for node in found["nodes"]] == [True] * 3
        assert len(found["pools"]) >= 1
        assert found["capacity"] > found["used"] >= 0
        assert found["pods"] == found["ready_pods"] == 3
        assert found["stork"]["ready"] > 0
        assert {"ClusterPair", "Migration"} <= set(found["stork"]["kinds"])
        # 3: the UUID that the credentials are named after.
        assert found["cluster_uuid"] == hand.uuid_of(begun.clusters[name])

    # 2: the project, its claims and what Portworx says of their volumes.
    assert "cms" in api.call("GET", f"/clusters/{rows['dev']['id']}/namespaces/")["namespaces"]

    inspected = api.call("GET", f"/clusters/{rows['dev']['id']}/volumes/?namespace=cms")["results"]
    assert {each["claim"] for each in inspected} == set(nine.CLAIMS)
    for each in inspected:
        volume, shared = each["volume"], each["claim"] == "px-wp-pvc"
        assert volume["name"] == each["persistent_volume"]
        assert volume["size"] == 2**30 > volume["used"] > 0
        assert (volume["shared"], volume["replicas"]) == (shared, 2 if shared else 3)
        assert volume["attached_to"].endswith("us-east-2.compute.internal")
        (consumer,) = volume["consumers"]
        assert consumer["name"].startswith("wordpress-" if shared else "mysql-")

    store = api.call(
        "POST",
        "/object-stores/",
        {
            **given,
            "name": "moves",
            "endpoint": begun.store.endpoint,
            "region": begun.store.region,
            "bucket": begun.store.bucket,
            "path_style": True,
            "access_key_id": begun.store.keys.access_key_id,
            "secret_access_key": begun.store.keys.secret_access_key,
        },
    )
    assert store["health"] == "healthy", store["checks"]
    made = api.call(
        "POST",
        "/pairs/",
        {
            **given,
            "name": "dev-to-prod",
            "source": rows["dev"]["id"],
            "destination": rows["prod"]["id"],
            "object_store": store["id"],
            "engine": "portworx",
            "portworx": {"namespace": "cms", "object_name": "prodcluster"},
        },
    )
    pair = f"/pairs/{made['id']}/"
    before = api.call("GET", f"{pair}steps/")
    assert (before["is_ready"], {each["state"] for each in before["steps"]}) == (False, {"waiting"})
    for code in ("uuid", "credentials-source", "token", "endpoint", "document", "applied", "status"):
        assert next(each for each in before["steps"] if each["code"] == code)["commands"]

    # 3 to 9: set up.
    done = job(begun, pair, "set-up")
    assert {each["code"]: each["state"] for each in done["steps"]} == dict.fromkeys(STEPS, "ok"), done["steps"]
    steps = {each["code"]: each for each in done["steps"]}
    for code, words in STEPS.items():
        assert words in steps[code]["message"], steps[code]
    uuid = hand.uuid_of(prod)
    assert steps["uuid"]["message"] == uuid
    # 4: on both, under exactly that name.
    for cluster, row in ((dev, rows["dev"]), (prod, rows["prod"])):
        (credential,) = api.call("GET", f"/clusters/{row['id']}/credentials/")["credentials"]
        assert (credential["name"], credential["provider"]) == (f"clusterPair_{uuid}", "s3")
        listed = hand.pxctl(cluster, "credentials", "list")[0]
        assert f"clusterPair_{uuid}" in listed
        assert hand.pxctl(cluster, "credentials", "validate", f"clusterPair_{uuid}")[1] == ""
    # 5 to 8: what is on dev has the token and the load balancer's name; what we show has no secret.
    options = hand.get(dev, "clusterpairs", "cms", "prodcluster")["spec"]["options"]
    assert options == {"ip": hand.load_balancer(prod), "port": "9001", "token": prod.call(storage_of).token}
    assert options["ip"].endswith(".us-west-2.elb.amazonaws.com")
    assert done["endpoint"] == f"{options['ip']}:9001"
    document = api.call("GET", f"{pair}document/")["document"]
    for line in ("kind: ClusterPair", f"ip: {options['ip']}", "port: '9001'", "token: '***'"):
        assert line in document.replace('"', "'"), document
    # 9
    assert done["is_ready"]
    assert (done["storage_status"], done["scheduler_status"]) == ("Ready", "Ready")
    assert done["remote_storage_id"] == uuid
    checked = job(begun, pair, "validate")
    assert {each["state"] for each in checked["steps"]} == {"ok"}, checked["steps"]

    # 10: the plan, and the Migration.
    wanted = {"pair": made["id"], "namespaces": ["cms"]}
    plan = api.call("POST", "/migrations/plan/", wanted)
    assert [each for each in plan["checks"] if each["status"] == "failure"] == []
    assert [each["name"] for each in plan["claims"]] == list(nine.CLAIMS)
    assert sum(plan["objects"].values()) == 9
    migration = api.call("POST", "/migrations/", {**wanted, "name": "cmsmigration", "start_applications": True})
    path = f"/migrations/{migration['id']}/"
    migration = until(lambda: api.call("GET", path), lambda row: row["status"] in FINISHED and row["cleaned_up"])
    events = list(api.every(f"{path}events/"))
    assert migration["status"] == "Successful", (migration["reason"], events)
    summary = migration["summary"]
    assert (summary["volumes_done"], summary["volumes_total"]) == (2, 2)
    assert (summary["resources_done"], summary["resources_total"]) == (9, 9)

    # 11 and 12: as storkctl and oc say it, and as rows.
    texts = api.call("GET", f"{path}stork/")
    volumes = {row["claim"]: row for row in api.every(f"{path}volumes/")}
    names = {row["volume"] for row in volumes.values()}
    described.check_table(texts["get"], pair="prodcluster")
    described.check_description(texts["describe"], pair="prodcluster", namespace="cms", volumes=names)
    assert set(volumes) == set(nine.CLAIMS)
    assert {row["reason"] for row in volumes.values()} == {"Migration successful for volume"}
    resources = list(api.every(f"{path}resources/"))
    assert {(row["kind"], row["name"]) for row in resources} == nine.RESOURCES | {
        ("PersistentVolume", name) for name in names
    }
    assert {(row["status"], row["reason"]) for row in resources} == {("Successful", "Resource migrated successfully")}
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    told = [each for each in events if each["source"] == "stork"]
    assert {each["message"] for each in told[:2]} == {f"Volume {name} migrated successfully" for name in names}
    assert sum(each["count"] for each in told) == 13
    stages = [each["reason"] for each in events if each["message"].startswith("Stage ")]
    assert stages == ["Initial", "Volumes", "Applications", "Final"]

    # 13: the same on prod, running.
    for resource, expected in (
        ("deployments.apps", {"mysql", "wordpress"}),
        ("services", {"mysql", "wordpress"}),
        ("routes.route.openshift.io", {"wp"}),
        ("persistentvolumeclaims", set(nine.CLAIMS)),
    ):
        there = prod.call(lambda api, resource=resource: api.list(resource, "cms"))
        assert {each["metadata"]["name"] for each in there} == expected
    for each in prod.call(lambda api: api.list("deployments.apps", "cms")):
        assert each["status"]["readyReplicas"] == each["spec"]["replicas"] == 1
    for claim in nine.CLAIMS:
        assert not differences(dev.volume_path("cms", claim), prod.volume_path("cms", claim))
    # And as the API says it, of both.
    lines = {
        name: api.call("GET", f"/clusters/{row['id']}/objects/?namespace=cms")["objects"] for name, row in rows.items()
    }
    for objects in lines.values():
        named = {(each["kind"], each["name"]): each["state"] for each in objects}
        for name in ("mysql", "wordpress"):
            assert named["Deployment", name] == "1/1 ready"
            assert named["Service", name].startswith("ClusterIP ")
            (pod,) = (state for (kind, pod), state in named.items() if kind == "Pod" and pod.startswith(f"{name}-"))
            assert pod.startswith("Running, 1/1 ready on ip-")
            assert any(kind == "ReplicaSet" and other.startswith(f"{name}-") for kind, other in named)
        assert named["Route", "wp"]
    there = api.call("GET", f"/clusters/{rows['prod']['id']}/volumes/?namespace=cms")["results"]
    assert {each["volume"]["attached_to"].split(".", 1)[1] for each in there} == {"us-west-2.compute.internal"}

    # 14: the site answers with its content.
    answers = [
        page_of(kubernetes.config.new_client_from_config_dict(cluster.kubeconfig)).partition(b"\r\n\r\n")
        for cluster in (dev, prod)
    ]
    assert answers[1][0].startswith(b"HTTP/1.1 200")
    assert answers[0][2] == answers[1][2] != b""

    # What was done stands in the history, by whom; no secret does.
    history = list(api.every("/audit/?ordering=at"))
    actions = [each["action"] for each in history if not each["action"].startswith(("token.", "session."))]
    assert actions == [
        *("team.add", "cluster.add", "cluster.add", "object_store.add", "pair.add", "pair.set-up", "pair.validate"),
        "migration.start",
    ]
    assert {each["actor"] for each in history if each["action"].startswith("pair.")} == {"alice"}

    # And away again: pair, credentials, and the row here.
    api.call("POST", f"{pair}take-down/", {"credentials": True})
    gone = until(lambda: api.call("GET", f"{pair}steps/"), lambda found: not found["is_working"])
    assert {each["state"] for each in gone["steps"]} == {"ok"}, gone["steps"]
    assert not dev.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))
    for cluster in (dev, prod):
        assert not cluster.call(storage_of).credentials
    api.call("DELETE", path)
    api.call("DELETE", pair)
    shown = json.dumps([rows, store, made, done, plan, migration, texts, events, history])
    shown += (begun.tree.parts[0].log).read_text()
    for secret in secrets:
        assert secret not in shown
