"""Pairs of the engine portworx on pages: chosen where it can be, set up step by step, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from clusters.kube.checks import Check
from clusters.models import ClusterPair, PortworxPairing
from clusters.pairing.steps import Code, State, Step
from clusters.portworx.endpoint import NAMES, Kind
from clusters.portworx.following import cause_of
from clusters.texts import said
from tests import factories

KUBECONFIG = Path(__file__).parent.joinpath("kubeconfig.yaml").read_text()
PORTWORX = {
    "is_present": True,
    "can_migrate": True,
    "version": "3.1.0",
    "cluster_uuid": "1234-abcd",
    "stork": {"is_present": True, "version": "24.2.0", "admin_namespace": "kube-system"},
}


@pytest.fixture
def pair(company: factories.Company) -> ClusterPair:
    ends = {
        name: factories.cluster(
            company.team, name, kubeconfig=KUBECONFIG.replace("sesame", "kubeconfig-canary"), portworx=PORTWORX
        )
        for name in ("from", "onto")
    }
    store = factories.object_store(
        company.team, "px-store", access_key_id="key-id-canary", secret_access_key="secret-key-canary"
    )
    return factories.portworx_pair(company.team, source=ends["from"], destination=ends["onto"], object_store=store)


def test_the_form_says_why_portworx_is_no_choice(company: factories.Company, alice: Client) -> None:
    page = alice.get(f"/pairs/{company.pair.pk}/edit/").content.decode()
    assert "The last checks found no Portworx on dev." in page
    assert 'value="portworx"' not in page


def test_a_portworx_pair_is_added_in_the_form(pair: ClusterPair, alice: Client) -> None:
    ends = {"source": pair.source.pk, "destination": pair.destination.pk, "object_store": pair.object_store.pk}
    assert 'name="endpoint_host"' not in alice.get("/pairs/add/", ends).content.decode()
    assert 'name="endpoint_host"' in alice.get("/pairs/add/", {**ends, "engine": "portworx"}).content.decode()
    given = {"team": pair.team.pk, "name": "second", **ends, "engine": "portworx", "mode": "DisasterRecovery"}
    alice.post("/pairs/add/", given)
    made = PortworxPairing.objects.get(pair__name="second")
    assert (made.object_name, made.mode, made.both_directions) == ("onto", "DisasterRecovery", False)
    refused = alice.post("/pairs/add/", {**given, "name": "third", "namespace": "Not A Name"})
    assert refused.status_code == 422
    assert "is not valid" in refused.content.decode()


def test_steps_and_checks_are_said_in_the_readers_language(pair: ClusterPair, alice: Client) -> None:
    reason = said("It is the only {way}, and no other way was asked for or found.", way=NAMES[Kind.NODE_PORT])
    answers = said("{endpoint} ({kind}) answers. {reason}", endpoint="10.0.0.1:9001", kind="node-port", reason=reason)
    step = Step(Code.ENDPOINT, State.OK, answers, cause_of("invalid token")[1])
    pair.portworx.steps = [step.to_dict()]
    pair.portworx.save()
    pair.checks = [
        Check("stork", "warning", said("Stork is not installed."), said("Look at its pods and log.")).to_dict()
    ]
    pair.save()
    page = alice.get(f"/pairs/{pair.pk}/", headers={"accept-language": "zh-hans"}).content.decode()
    for text in (
        "10.0.0.1:9001(node-port)有应答。它是唯一的节点端口，没有要求或找到其他方式。",
        "重新建立配对",
        "未安装 Stork。",
    ):
        assert text in page
    page = alice.get(f"/pairs/{pair.pk}/").content.decode()
    assert f"{answers}" in page
    assert "Stork is not installed." in page


def test_the_page_asks_for_jobs_and_follows_them(pair: ClusterPair, alice: Client) -> None:
    path = f"/pairs/{pair.pk}/"
    assert 'hx-trigger="every 2s"' not in alice.get(path).content.decode()
    page = alice.post(f"{path}set-up/", follow=True).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "clusterPair_1234-abcd" in page
    failed = {"code": "token", "state": "failure", "message": "It broke.", "remedy": "Mend it.", "said": "pxctl: no"}
    PortworxPairing.objects.filter(pair=pair).update(job="", steps=[failed])
    told = alice.get(f"{path}progress/").content.decode()
    assert all(words in told for words in ("It broke.", "Mend it.", "pxctl: no"))
    alice.post(f"{path}take-down/", {"forget": "on"})
    kept = PortworxPairing.objects.get(pair=pair)
    assert (kept.job, kept.job_options) == ("tear-down", {"credentials": False, "forget": True, "named": ""})


def test_a_viewer_sees_the_steps_and_no_buttons(company: factories.Company, pair: ClusterPair, client: Client) -> None:
    client.force_login(company.bob)
    page = client.get(f"/pairs/{pair.pk}/").content.decode()
    assert "Storage status" in page
    assert not any(f"/{word}/" in page for word in ("set-up", "validate", "take-down"))


def test_no_page_of_a_pair_holds_a_secret(pair: ClusterPair, alice: Client) -> None:
    for path in ("", "edit/", "progress/", "document/", "take-down/"):
        answer = alice.get(f"/pairs/{pair.pk}/{path}")
        assert answer.status_code == 200
        assert "canary" not in answer.content.decode()
    assert "token: '***'" in alice.get(f"/pairs/{pair.pk}/document/").content.decode().replace('"', "'")


def test_the_page_of_a_cluster_says_what_it_has_of_portworx(pair: ClusterPair, alice: Client) -> None:
    page = alice.get(pair.source.get_absolute_url()).content.decode()
    assert all(words in page for words in ("3.1.0", "24.2.0", "1234-abcd"))
