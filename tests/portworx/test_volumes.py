"""Claims on Portworx volumes with their facts: old and new pxctl, damaged answers, the page and the API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
import yaml
from django.test import Client

from clusters import storage
from clusters.models import Cluster
from clusters.portworx import volumes
from clusters.portworx.errors import PxctlError, UnreadableError
from clusters.portworx.pods import Portworx
from demo.cluster.server import ClusterHandle
from teams.models import ApiToken, Role, Team
from teams.refusals import Refusal
from tests import factories
from tests.portworx import outputs
from tests.portworx_estate import hand

CLAIMS = "persistentvolumeclaims"


class Pxctl:
    """A Portworx that answers `volume inspect` for what it knows; `flag` is what it says of -j, where it has none."""

    def __init__(self, *known: str, flag: str = "", text: str = "") -> None:
        self.known, self.flag, self.text = known, flag, text
        self.calls: list[tuple[str, ...]] = []

    def pxctl(self, *words: str, seconds: float = 0) -> str:
        self.calls.append(words)
        names = [each for each in words[2:] if each != "-j"]
        if "-j" in words and self.flag:
            raise PxctlError("volume inspect", self.flag)
        if self.text:
            return self.text
        if missing := [each for each in names if each not in self.known]:
            raise PxctlError("volume inspect", f"Volume {missing[0]} not found")
        return json.dumps([{"id": f"1{each}", "locator": {"name": each}, "spec": {"size": "1"}} for each in names])


def asked(pxctl: Pxctl, *names: str) -> list[str]:
    return [each.name for each in volumes.read(cast(Portworx, pxctl), list(names))]


@pytest.mark.parametrize("flag", ["flag provided but not defined: -j", "unknown shorthand flag: 'j' in -j", "Usage: …"])
def test_an_old_pxctl_that_does_not_know_json_is_read_as_text(flag: str) -> None:
    pxctl = Pxctl(flag=flag, text=outputs.INSPECT_2019 + "\n" + outputs.INSPECT_2017)
    assert asked(pxctl, "px-mysql", "jenkins_vol") == ["px-mysql", "jenkins_vol"]
    assert "-j" not in pxctl.calls[-1]


def test_a_pxctl_that_prints_text_for_json_is_read_as_text() -> None:
    assert asked(Pxctl(text=outputs.INSPECT_2017), "jenkins_vol") == ["jenkins_vol"]


@pytest.mark.parametrize("text", ["<html><body>502 Bad Gateway</body></html>", "{", "Volumen : 1"])
def test_a_damaged_answer_is_told_as_such(text: str) -> None:
    with pytest.raises(UnreadableError, match="volume inspect cannot be understood"):
        asked(Pxctl(text=text), "a")


def test_one_volume_that_is_gone_does_not_hide_the_others() -> None:
    pxctl = Pxctl("a", "b", "d", "e")
    found = volumes._known(cast(Portworx, pxctl), ["a", "b", "c", "d", "e"])
    assert [each.name for each in found] == ["a", "b", "d", "e"]


@pytest.fixture
def dev(db: None, sites: Mapping[str, ClusterHandle]) -> Cluster:
    team = Team.objects.create(name="Content platform")
    factories.member("alice", team, Role.ADMIN)
    nodes = [
        {
            "ip": next(row["address"] for row in node["status"]["addresses"] if row["type"] == "InternalIP"),
            "id": node["metadata"]["uid"],
            "name": node["metadata"]["name"],
        }
        for node in sites["dev"].call(lambda api: api.list("nodes"))
    ]
    kubeconfig = yaml.safe_dump(sites["dev"].kubeconfig)
    return factories.cluster(team, kubeconfig=kubeconfig, portworx={"is_present": True, "nodes": nodes})


@pytest.fixture
def unbound(sites: Mapping[str, ClusterHandle]) -> Iterator[str]:
    """A claim that Portworx is asked for, and of a class that nobody serves."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "waits",
            "namespace": "cms",
            "annotations": {"volume.kubernetes.io/storage-provisioner": "pxd.portworx.com"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "nobodys",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    sites["dev"].call(lambda api: api.create(CLAIMS, claim))
    yield "waits"
    sites["dev"].call(lambda api: api.delete(CLAIMS, "cms", "waits"))


def test_claims_are_chosen_by_namespace_and_name_and_come_in_pages(
    dev: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = storage.volumes_of(dev)
    assert [each["claim"] for each in every.page] == ["px-mysql-pvc", "px-wp-pvc"]
    assert "cms" in every.namespaces
    mysql, wordpress = (each["volume"] for each in every.page)
    assert (mysql["shared"], wordpress["shared"]) == (False, True)
    assert 0 < mysql["used"] < mysql["size"]
    names = {each["name"] for each in dev.portworx["nodes"]}
    assert mysql["attached_to"] in names
    assert mysql["consumers"][0]["name"].startswith("mysql-")
    assert not storage.volumes_of(dev, namespaces=["default"]).page.object_list
    assert [each["claim"] for each in storage.volumes_of(dev, name="wp").page] == ["px-wp-pvc"]
    monkeypatch.setattr(storage, "ROWS_PER_PAGE", 1)
    second = storage.volumes_of(dev, namespaces=["cms"], page=2).page
    assert (second.paginator.num_pages, [each["claim"] for each in second]) == (2, ["px-wp-pvc"])
    with pytest.raises(Refusal, match="no namespace nowhere"):
        storage.volumes_of(dev, namespaces=["cms", "nowhere"])


def test_an_unbound_claim_says_why_it_has_no_volume(dev: Cluster, unbound: str) -> None:
    [row] = storage.volumes_of(dev, namespaces=["cms"], name=unbound).page
    assert (row["volume"], row["problem"]) == (None, "The claim is not bound to a volume yet.")


def test_the_page_shows_volumes_objects_and_what_to_do_without_any(dev: Cluster, client: Client) -> None:
    client.force_login(dev.team.memberships.get().user)
    path = f"/clusters/{dev.pk}/volumes/"
    page = client.get(path, {"namespace": "cms"}).content.decode()
    assert all(words in page for words in ("px-mysql-pvc", "px-wp-pvc", "Objects of cms", "Route", "wp"))
    assert "Nothing fits the filter" in client.get(path, {"namespace": "default"}).content.decode()
    assert "no namespace nowhere" in client.get(path, {"namespace": "nowhere"}).content.decode()


def test_a_broken_pxctl_is_told_on_the_page_beside_the_claims(
    dev: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Portworx, "pxctl", lambda *_words, **_options: "<html>Bad Gateway</html>")
    client.force_login(dev.team.memberships.get().user)
    page = client.get(f"/clusters/{dev.pk}/volumes/").content.decode()
    assert all(words in page for words in ("px-mysql-pvc", "cannot be understood", "What to do:"))


def test_the_api_tells_the_same(dev: Cluster) -> None:
    token = ApiToken.issue(dev.team.memberships.get().user, "test")[1]
    answer: Any = Client().get(
        f"/api/v1/clusters/{dev.pk}/volumes/?namespace=cms&name=mysql", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["count"], told["pages"], told["problem"]) == (1, 1, "")
    assert told["results"][0]["volume"]["replicas"] == 3


def test_the_api_tells_what_is_in_a_namespace(dev: Cluster) -> None:
    token = ApiToken.issue(dev.team.memberships.get().user, "test")[1]

    def asked(**query: str) -> tuple[int, Any]:
        path = f"/api/v1/clusters/{dev.pk}/objects/"
        answer: Any = Client().get(path, query, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json()

    status, told = asked(namespace="cms")
    assert (status, told["unreadable"]) == (200, [])
    states = {(each["kind"], each["name"]): each["state"] for each in told["objects"]}
    assert states["Service", "mysql"].startswith("ClusterIP ")
    assert ("Route", "wp") in states
    assert {kind for kind, _ in states} >= {"Pod", "Deployment", "ReplicaSet"}
    for wrong in ("nowhere", "../kube-system"):
        status, refused = asked(namespace=wrong)
        assert (status, f"dev has no namespace {wrong}." in refused["detail"]) == (400, True)
    assert asked()[0] == 400


def test_credentials_are_listed_without_keys_and_with_the_pairs_that_need_them(
    dev: Cluster, client: Client, sites: Mapping[str, ClusterHandle], store: Any
) -> None:
    from demo.portworx.storage import storage_of

    uuid = hand.uuid_of(sites["prod"])
    far = factories.cluster(dev.team, "prod", portworx={"cluster_uuid": uuid})
    factories.portworx_pair(dev.team, source=dev, destination=far)
    fields = {"provider": "s3", "access_key": "half-canary", "secret_key": "key-canary", "region": "r", "bucket": ""}
    fields |= {"endpoint": store.endpoint.partition("://")[2], "disable_ssl": True}
    names = (f"clusterPair_{uuid}", "somebody-elses")
    for name in names:
        sites["dev"].call(lambda api, name=name: storage_of(api).add_credential({"name": name, **fields}))
    try:
        client.force_login(dev.team.memberships.get().user)
        found = {each["name"]: each["pairs"] for each in storage.credentials_of(dev)}
        assert found == {names[0]: ["px"], names[1]: []}
        page = client.get(f"/clusters/{dev.pk}/credentials/").content.decode()
        assert all(name in page for name in names)
        assert "canary" not in page
        token = ApiToken.issue(dev.team.memberships.get().user, "test")[1]
        headers = {"Authorization": f"Bearer {token}"}
        answer = Client().get(f"/api/v1/clusters/{dev.pk}/credentials/", headers=headers).content.decode()
        assert names[1] in answer
        assert "canary" not in answer
    finally:
        for name in names:
            sites["dev"].call(lambda api, name=name: storage_of(api).remove_credential(name))
