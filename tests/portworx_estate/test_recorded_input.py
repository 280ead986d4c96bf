"""What was given to the recorded source cluster, given to a simulated one: it holds the same afterwards.

Whatever differs stands in `DIFFERENT` with the reason; what stands there and does not differ fails the test as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.cluster.server import ClusterHandle, running_clusters
from tests.portworx_estate import hand, replaying

Object = dict[str, Any]
Key = tuple[str, str, str]
# In the order in which they can be made.
INPUT = ("ocp-crds.yaml", "app-crd.yaml", "app.yaml", "ocp.yaml")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
UIDS = "The controller's own identity."
DEFAULTS = "A default that the simulated API server does not fill in."
MOUNT = "The name of a service account's volume ends with letters of chance."
BOUND = "Nobody made volumes in the recording; the simulated cluster binds the claim at once."
DIFFERENT: dict[tuple[Key, str], str] = {
    (("Pod", "cms", "bare-pod"), ".spec.containers[0].volumeMounts[0].name"): MOUNT,
    (("Pod", "cms", "bare-pod"), ".spec.volumes[0].name"): MOUNT,
    (("Endpoints", "cms", "ext-db"), ".subsets[0].ports[0].protocol"): DEFAULTS,
    (("CronJob", "cms", "backup"), ".spec.jobTemplate.metadata"): "An empty field that Go writes out.",
    (("CronJob", "cms", "backup"), ".spec.jobTemplate.spec.template.metadata"): "The same.",
    (("DaemonSet", "cms", "agent"), ".metadata.annotations"): "A count of the API server's own for an old version.",
    (("HorizontalPodAutoscaler", "cms", "wp-hpa"), ".spec.metrics"): DEFAULTS,
    (("PriorityClass", "", "cms-critical"), ".preemptionPolicy"): DEFAULTS,
    (("Job", "cms", "init-db"), ".spec.selector.matchLabels.batch.kubernetes.io/controller-uid"): UIDS,
    **{
        (("Job", "cms", "init-db"), f"{place}.{name}"): UIDS
        for place in (".metadata.labels", ".spec.template.metadata.labels")
        for name in ("controller-uid", "batch.kubernetes.io/controller-uid")
    },
    **{
        (("PersistentVolumeClaim", "cms", "unbound-pvc"), path): BOUND
        for path in (
            ".metadata.annotations.pv.kubernetes.io/bind-completed",
            ".metadata.annotations.pv.kubernetes.io/bound-by-controller",
            ".spec.volumeName",
        )
    },
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes, as there, that was given what the recorded one was given."""
    state = tmp_path_factory.mktemp("clusters")
    with running_clusters(state, names=("dev",), nodes=False, extra=False) as clusters:
        for each in given().values():
            clusters["dev"].call(lambda api, each=each: replaying.ensure(api, each))

        def settled() -> bool:
            claims = clusters["dev"].call(lambda api: api.list("persistentvolumeclaims", "cms"))
            secret = clusters["dev"].call(lambda api: api.get("secrets", "cms", "app-sa-token"))
            return bool(secret.get("data")) and all(each["status"].get("phase") == "Bound" for each in claims)

        hand.until(settled)
        yield clusters["dev"]


def given() -> dict[Key, Object]:
    """Every object of the input."""
    return {replaying.key(each): each for name in INPUT for each in replaying.documents(name)}


def shown(obj: Object) -> Object:
    """What has to be the same: nobody used kubectl here, and the recording's Secrets have no data."""
    made = replaying.comparable(obj)
    annotations = made["metadata"].get("annotations") or {}
    for name in (LAST_APPLIED, "kubernetes.io/service-account.uid"):
        annotations.pop(name, None)
    if not annotations:
        made["metadata"].pop("annotations", None)
    if made["kind"] == "Secret":
        made["data"] = dict.fromkeys(made.get("data") or {}, "(some)")
    return made


def test_the_recorded_source_comes_of_the_recorded_input(source: ClusterHandle) -> None:
    recorded = {replaying.key(each): each for each in replaying.objects("source.json")}
    assert given().keys() <= recorded.keys()
    different = {}
    for key in given():
        was = recorded[key]
        info = source.api.registry.by_kind(was["apiVersion"], key[0])
        assert info is not None, key
        found = source.call(lambda api, at=(info.name, key[1] or None, key[2]): api.get(*at))
        now = shown({**found, "kind": key[0], "apiVersion": was["apiVersion"]})
        for line in replaying.changes(shown(was), now):
            different[key, line.partition(": ")[0]] = line
    assert set(different) == set(DIFFERENT), different


def test_no_recording_is_left_out() -> None:
    """Each file is read by some test beside this one."""
    here = Path(__file__)
    tests = [each for each in here.parents[1].rglob("*.py") if each != here]
    text = "\n".join(each.read_text() for each in tests) + here.read_text().partition("def test_no_recording")[0]
    unread = []
    for each in replaying.RECORDINGS.iterdir():
        name, found, _ = each.name.partition("-migration.yaml")
        if (f'"{name}"' if found else each.name) not in text:
            unread.append(each.name)
    assert unread == []
