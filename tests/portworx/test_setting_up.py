"""A pair is set up, validated, followed and taken down on the simulated clusters, as workers do it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Entry
from clusters import pair_services
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob, PortworxPairing
from clusters.pairing import jobs
from clusters.portworx import credentials
from demo.cluster.api import APIError
from demo.portworx.storage import storage_of
from teams.refusals import Refusal
from tests.portworx.estate import Estate, states
from tests.portworx_estate import hand

pytestmark = pytest.mark.django_db


def test_one_request_does_rows_one_to_nine(estate: Estate) -> None:
    pairing = estate.run()
    assert set(states(pairing).values()) == {"ok"}, pairing.steps
    assert list(states(pairing)) == [
        "clusters",
        "uuid",
        "credentials-destination",
        "credentials-source",
        "token",
        "endpoint",
        "document",
        "applied",
        "status",
    ]
    assert pairing.is_ready
    prod = estate.prod.call(storage_of)
    assert pairing.remote_storage_id == prod.uuid
    for cluster in (estate.dev, estate.prod):
        assert [each["name"] for each in cluster.call(storage_of).credentials] == [estate.credential]
    made = hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")
    assert made["spec"]["options"] == {"ip": hand.load_balancer(estate.prod), "port": "9001", "token": prod.token}
    assert "kubectl.kubernetes.io/last-applied-configuration" not in (made["metadata"].get("annotations") or {})
    assert estate.step("uuid")["message"] == prod.uuid
    pair = ClusterPair.objects.get(pk=estate.pair.pk)
    assert {check["code"]: check["status"] for check in pair.checks}["clusterpair"] == "ok"
    # Again: everything is found as it is.
    uid = made["metadata"]["uid"]
    again = estate.run()
    assert again.is_ready
    assert hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")["metadata"]["uid"] == uid
    assert "was there already" in estate.step("credentials-source")["message"]
    assert "is there as wanted" in estate.step("applied")["message"]


def test_the_secrets_are_nowhere_but_on_the_clusters(estate: Estate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    estate.run()
    estate.run(PairingJob.VALIDATE)
    pairing = estate.fresh()
    store = ObjectStore.objects.get()
    secrets = [estate.prod.call(storage_of).token, store.secret_access_key, store.access_key_id]
    kept = json.dumps([pairing.steps, pairing.to_audit(), pairing.job_options], default=str)
    kept += json.dumps(list(Entry.objects.values("before", "after", "object_name", "action")))
    kept += json.dumps(list(Cluster.objects.values("portworx", "checks")))
    for secret in secrets:
        assert secret not in kept
        assert secret not in caplog.text
    assert {"pair.set-up", "pair.validate"} <= set(Entry.objects.values_list("action", flat=True))


def test_validation_only_looks(estate: Estate) -> None:
    pairing = estate.run(PairingJob.VALIDATE)
    assert states(pairing)["credentials-destination"] == "failure"
    assert estate.step("credentials-destination")["cause"] == "credential-name"
    assert not estate.prod.call(storage_of).credentials
    assert not estate.dev.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))
    estate.run()
    assert set(states(estate.run(PairingJob.VALIDATE)).values()) == {"ok"}
    estate.prod.call(lambda api: storage_of(api).reset_token())
    pairing = estate.run(PairingJob.VALIDATE)
    assert (estate.step("token")["state"], estate.step("token")["cause"]) == ("warning", "wrong-token")
    # A new token needs a new ClusterPair, since Stork never pairs again what was Ready.
    uid = hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")["metadata"]["uid"]
    assert estate.run().is_ready
    made = hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")
    assert made["metadata"]["uid"] != uid
    assert made["spec"]["options"]["token"] == estate.prod.call(storage_of).token


def test_credentials_under_the_uuid_of_the_source_are_told(estate: Estate) -> None:
    hand.add_credentials(estate.prod, estate.store, credentials.name_for(estate.dev.call(storage_of).uuid))
    estate.run(PairingJob.VALIDATE)
    step = estate.step("credentials-destination")
    assert step["state"] == "failure"
    assert estate.credential in step["message"]
    assert credentials.name_for(estate.dev.call(storage_of).uuid) in step["message"]
    assert "exactly this name" in step["remedy"]


def test_bad_keys_are_told_in_the_words_of_pxctl_and_repaired_by_the_next_run(estate: Estate) -> None:
    right = estate.store.keys.secret_access_key
    ObjectStore.objects.get()
    store = ObjectStore.objects.get()
    store.secret_access_key = "not-the-secret-canary"
    store.save()
    pairing = estate.run()
    step = estate.step("credentials-destination")
    assert step["state"] == "failure"
    assert "SignatureDoesNotMatch" in step["said"]
    assert "canary" not in json.dumps(pairing.steps)
    assert states(pairing)["applied"] == "skipped"
    store.secret_access_key = right
    store.save()
    assert estate.run().is_ready


def test_an_endpoint_that_nobody_reaches_is_told(estate: Estate) -> None:
    estate.change(endpoint_host="nobody.example.com")
    pairing = estate.run()
    step = estate.step("endpoint")
    assert (step["state"], step["cause"]) == ("failure", "unreachable-endpoint")
    assert "Could not resolve host" in step["said"]
    assert "9001" in step["remedy"]
    assert states(pairing)["applied"] == "skipped"
    estate.change(endpoint_host=hand.load_balancer(estate.prod), endpoint_port=9002)
    estate.run()
    assert "Failed to connect" in estate.step("endpoint")["said"]


def test_a_wrong_token_is_told_in_the_words_of_portworx_and_repaired(estate: Estate) -> None:
    for cluster in (estate.prod, estate.dev):
        hand.add_credentials(cluster, estate.store, estate.credential)
    address = hand.load_balancer(estate.prod)
    bad = hand.pair_document("prodcluster", "cms", estate.prod, ip=address, port="9001", token="0" * 128)
    hand.create(estate.dev, "clusterpairs", bad)
    hand.until(lambda: hand.statuses(estate.dev, "cms", "prodcluster") == ("Error", "Ready"))
    estate.run(PairingJob.VALIDATE)
    assert "made by others" in estate.step("applied")["message"]
    step = estate.step("status")
    assert (step["state"], step["cause"]) == ("failure", "wrong-token")
    assert "Token authentication failed" in step["said"]
    assert "read anew" in step["remedy"]
    assert estate.run(take_over=True).is_ready


def test_a_missing_namespace_is_told(estate: Estate) -> None:
    estate.change(namespace="nowhere")
    estate.run()
    step = estate.step("applied")
    assert step["state"] == "failure"
    assert "dev has no namespace nowhere" in step["message"]


def test_both_directions_and_a_backup_location(estate: Estate) -> None:
    estate.change(namespace="both", both_directions=True, with_backup_location=True, mode="DisasterRecovery")
    estate.dev.call(lambda api: api.create("namespaces", {"metadata": {"name": "both"}}))
    pairing = estate.run()
    assert set(states(pairing).values()) == {"ok"}, pairing.steps
    assert (pairing.back_storage_status, pairing.back_scheduler_status) == ("Ready", "Ready")
    # The namespace on the destination was made, as storkctl does.
    for cluster, target in ((estate.dev, estate.prod), (estate.prod, estate.dev)):
        options = hand.get(cluster, "clusterpairs", "both", "prodcluster")["spec"]["options"]
        assert options == {
            "ip": hand.load_balancer(target),
            "port": "9001",
            "token": target.call(storage_of).token,
            "mode": "DisasterRecovery",
            "backuplocation": "prodcluster",
        }
        secret = cluster.call(lambda api: api.get("secrets", "both", "prodcluster"))
        assert secret["metadata"]["annotations"]["stork.libopenstorage.org/created-by-stork"] == "true"
        assert not cluster.call(storage_of).credentials
    assert set(states(estate.run(PairingJob.VALIDATE)).values()) == {"ok"}
    estate.run(PairingJob.TEAR_DOWN)
    for cluster in (estate.dev, estate.prod):
        left = cluster.call(lambda api: api.list("secrets", "both"))
        assert "prodcluster" not in {each["metadata"]["name"] for each in left}
        assert not cluster.call(lambda api: api.list(f"backuplocations.{hand.STORK}"))
        assert not cluster.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))


def test_taking_down_leaves_nothing_and_forgets_the_pair_if_asked(estate: Estate) -> None:
    estate.run()
    pairing = estate.run(PairingJob.TEAR_DOWN, credentials=True, forget=True)
    assert pairing is None
    assert not ClusterPair.objects.filter(pk=estate.pair.pk).exists()
    with pytest.raises(APIError):
        hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")
    for cluster in (estate.dev, estate.prod):
        assert not cluster.call(storage_of).credentials
    assert not estate.dev.call(storage_of).pairs
    assert {"pair.tear-down", "pair.remove"} <= set(Entry.objects.values_list("action", flat=True))


def test_credentials_that_another_clusterpair_needs_stay(estate: Estate) -> None:
    estate.run()
    hand.pair({"dev": estate.dev, "prod": estate.prod}, estate.store, name="another", namespace="default")
    pairing = estate.run(PairingJob.TEAR_DOWN, credentials=True)
    assert "ClusterPair default/another uses it too" in estate.step("credentials")["message"]
    assert [each["name"] for each in estate.dev.call(storage_of).credentials] == [estate.credential]
    assert pairing.storage_status == ""


def test_a_look_that_died_is_taken_up_and_one_that_was_replaced_stops(estate: Estate) -> None:
    pairing = jobs.request(estate.pair, PairingJob.SET_UP, by=estate.by)
    with jobs._taken(pairing.pk) as token:
        assert token is not None
        assert pairing.pk not in jobs.due()
        # Killed here. Nobody else looks until the lease has run out.
        jobs.look(pairing.pk)
        assert estate.fresh().steps[0]["state"] == "waiting"
        PortworxPairing.objects.update(
            lease_expires_at=timezone.now() - timedelta(seconds=1), next_look_at=timezone.now()
        )
        assert estate.drive().is_ready
        progress = jobs.Progress(estate.fresh(), token)
        with pytest.raises(jobs.LeaseLostError):
            progress.keep(failures=3)


def test_a_pair_of_the_native_engine_has_no_portworx_part(estate: Estate) -> None:
    ClusterPair.objects.filter(pk=estate.pair.pk).update(engine=Engine.NATIVE)
    with pytest.raises(Refusal, match="not of the engine portworx"):
        jobs.request(ClusterPair.objects.get(), PairingJob.SET_UP, by=estate.by)


def test_clusters_without_portworx_are_refused_for_this_engine(estate: Estate) -> None:
    Cluster.objects.filter(name="prod").update(portworx={}, checks=[])
    rows = {each.name: each for each in Cluster.objects.all()}
    with pytest.raises(Refusal) as refused:
        pair_services.add(
            estate.pair.team,
            name="other",
            source=rows["dev"],
            destination=rows["prod"],
            object_store=ObjectStore.objects.get(),
            engine=Engine.PORTWORX,
            by=estate.by,
        )
    assert "no Portworx on prod" in str(refused.value.errors["engine"])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"namespace": "CMS"}, "namespace"),
        ({"object_name": "a_b"}, "object_name"),
        ({"mode": "Sometimes"}, "mode"),
        ({"endpoint_kind": "carrier-pigeon"}, "endpoint_kind"),
        ({"endpoint_host": "px.example.com/path"}, "endpoint_host"),
        ({"endpoint_host": "-oProxyCommand=x"}, "endpoint_host"),
        ({"endpoint_port": 0}, "endpoint_port"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(estate: Estate, given: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        pair_services.update(estate.pair, portworx=given, by=estate.by)
    assert list(refused.value.errors) == [field]
