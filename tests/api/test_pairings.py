"""The Portworx part of pairs over the API: chosen, asked for, followed, and without secrets."""

from __future__ import annotations

import json

import pytest
import yaml

from clusters.models import ClusterPair, PortworxPairing
from tests import factories
from tests.api.conftest import Caller
from tests.api.test_access import KUBECONFIG
from tests.factories import Company

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def pair(world: Company) -> ClusterPair:
    able = {"can_migrate": True, "namespace": "portworx", "cluster_uuid": "1234-abcd"}
    ends = {
        name: factories.cluster(
            world.team,
            name,
            kubeconfig=KUBECONFIG.replace("sesame", "kubeconfig-canary"),
            server=f"https://{name}.example.com:6443",
            portworx=able,
        )
        for name in ("from", "onto")
    }
    store = factories.object_store(
        world.team, "px-store", access_key_id="key-id-canary", secret_access_key="secret-key-canary"
    )
    return factories.portworx_pair(world.team, source=ends["from"], destination=ends["onto"], object_store=store)


def test_a_pair_is_added_and_changed_with_its_portworx_part(alice: Caller, pair: ClusterPair) -> None:
    body = {
        "name": "second",
        "source": str(pair.source.pk),
        "destination": str(pair.destination.pk),
        "object_store": str(pair.object_store.pk),
        "engine": "portworx",
        "portworx": {"namespace": "cms", "mode": "DisasterRecovery"},
    }
    made = alice.post("/pairs/", body)
    assert made.status_code == 201, made.content
    assert made.json()["portworx"]["object_name"] == "onto"
    path = f"/pairs/{made.json()['id']}/"
    changed = alice.patch(path, {"portworx": {"endpoint_host": "px.example.com", "endpoint_port": 9001}}).json()
    assert changed["portworx"]["endpoint_host"] == "px.example.com"
    assert (changed["portworx"]["namespace"], changed["portworx"]["mode"]) == ("cms", "DisasterRecovery")
    refused = alice.patch(path, {"portworx": {"namespace": "Not A Name"}})
    assert refused.status_code == 400
    assert "not valid" in refused.content.decode()


def test_a_native_pair_has_no_portworx_part_and_no_steps(alice: Caller, world: Company) -> None:
    assert alice.get(f"/pairs/{world.pair.pk}/").json()["portworx"] is None
    for verb, word in (("POST", "set-up"), ("POST", "validate"), ("POST", "take-down"), ("GET", "steps")):
        answer = alice.call(verb, f"/pairs/{world.pair.pk}/{word}/")
        assert answer.status_code == 400
        assert "not of the engine portworx" in answer.content.decode()


def test_what_is_asked_for_is_handed_to_the_workers(alice: Caller, pair: ClusterPair) -> None:
    answer = alice.post(f"/pairs/{pair.pk}/set-up/", {"replace_credentials": True})
    assert answer.status_code == 202
    kept = PortworxPairing.objects.get(pair=pair)
    assert (kept.job, kept.job_options) == ("set-up", {"replace_credentials": True, "take_over": False})
    assert kept.next_look_at is not None
    told = alice.get(f"/pairs/{pair.pk}/steps/").json()
    assert told["is_working"]
    assert {step["state"] for step in told["steps"]} == {"waiting"}
    by_code = {step["code"]: step for step in told["steps"]}
    assert "-n portworx" in by_code["uuid"]["commands"]
    assert "clusterPair_1234-abcd" in by_code["credentials-source"]["commands"]
    alice.post(f"/pairs/{pair.pk}/take-down/", {})
    assert [step["code"] for step in alice.get(f"/pairs/{pair.pk}/steps/").json()["steps"]] == ["object"]


def test_the_document_is_whole_but_for_its_secrets(alice: Caller, pair: ClusterPair) -> None:
    PortworxPairing.objects.update(endpoint="203.0.113.7:31234", mode="OneTimeMigration")
    document = yaml.safe_load(alice.get(f"/pairs/{pair.pk}/document/").json()["document"])
    options = {"ip": "203.0.113.7", "port": "31234", "token": "***", "mode": "OneTimeMigration"}
    assert document["spec"]["options"] == options
    assert document["spec"]["config"]["users"]["u"]["token"] == "***"
    assert document["metadata"]["name"] == "remote"


def test_no_answer_about_a_pair_holds_a_secret(alice: Caller, pair: ClusterPair) -> None:
    told = [alice.get(f"/pairs/{pair.pk}/{word}") for word in ("", "steps/", "document/")]
    told += [alice.post(f"/pairs/{pair.pk}/{word}/", {}) for word in ("set-up", "take-down")]
    told.append(alice.post(f"/pairs/{pair.pk}/validate/"))
    assert {answer.status_code for answer in told} == {200, 202}
    assert "canary" not in json.dumps([answer.json() for answer in told])
