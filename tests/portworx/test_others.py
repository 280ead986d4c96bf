"""ClusterPairs that others made: imported and followed, never deleted or written anew unasked; whole documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from django.test import Client

from audit.models import Entry
from clusters.models import Cluster, ClusterPair, ObjectStore, PairingJob, PortworxPairing
from clusters.pairing import documents, importing, jobs
from clusters.pairing.work import Work, keys_of
from clusters.portworx import backuplocation, credentials
from demo.portworx.storage import storage_of
from teams.models import ApiToken
from teams.refusals import Conflict, Refusal
from tests import factories
from tests.portworx.estate import Estate, states
from tests.portworx_estate import hand

pytestmark = pytest.mark.django_db


@pytest.fixture
def others(estate: Estate) -> Estate:
    """Somebody has paired the clusters by hand, and there is no pair of it here yet."""
    hand.pair({"dev": estate.dev, "prod": estate.prod}, estate.store, name="by-hand", namespace="cms")
    estate.pair.delete()
    return estate


def source() -> Cluster:
    return Cluster.objects.get(name="dev")


def imported(others: Estate) -> ClusterPair:
    [found] = importing.found_on(source())
    others.pair = importing.import_(
        source(),
        found.uid,
        name="theirs",
        destination=Cluster.objects.get(name="prod"),
        object_store=ObjectStore.objects.get(),
        by=others.by,
    )
    return others.pair


def test_what_others_made_is_found_with_what_can_be_known(others: Estate) -> None:
    [found] = importing.found_on(source())
    assert (str(found), found.made_by_others, found.pair) == ("cms/by-hand", True, None)
    assert found.destination == Cluster.objects.get(name="prod")
    assert found.state.is_ready()
    token = others.prod.call(storage_of).token
    assert token not in repr(found)
    assert found.state.options == {"ip": hand.load_balancer(others.prod), "port": "9001"}


def test_it_becomes_a_pair_whose_statuses_are_followed(others: Estate) -> None:
    uid = hand.get(others.dev, "clusterpairs", "cms", "by-hand")["metadata"]["uid"]
    pair = imported(others)
    pairing = others.drive()
    assert pairing.is_ready
    assert pairing.made_by_others
    assert (pairing.endpoint_host, pairing.endpoint_port) == (hand.load_balancer(others.prod), 9001)
    assert set(states(pairing).values()) == {"ok"}, pairing.steps
    assert "It was made by others." in others.step("applied")["message"]
    assert hand.get(others.dev, "clusterpairs", "cms", "by-hand")["metadata"]["uid"] == uid
    assert {"pair.add", "pair.import"} <= set(Entry.objects.values_list("action", flat=True))
    [found] = importing.found_on(source())
    assert found.pair == pair
    with pytest.raises(Conflict, match="already uses"):
        imported(others)


def test_one_with_a_backup_location_of_another_name_keeps_it(estate: Estate) -> None:
    pair = ClusterPair.objects.get()
    location = ("moves-location", "cms", keys_of(pair.object_store))
    with Work(pair.portworx) as work:
        for side in (work.source, work.destination):
            side.connection.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}})
            backuplocation.ensure(side.connection, *location)
        options = {"ip": hand.load_balancer(estate.prod), "port": "9001", "token": estate.prod.call(storage_of).token}
        options |= {"backuplocation": location[0], "mode": "DisasterRecovery"}
        hand.create(estate.dev, "clusterpairs", hand.pair_document("by-hand", "cms", estate.prod, **options))
        hand.until(lambda: hand.statuses(estate.dev, "cms", "by-hand") == ("Ready", "Ready"))
        pair.delete()
        imported(estate)
        pairing = estate.drive()
        assert set(states(pairing).values()) == {"ok"}, pairing.steps
        assert (pairing.location_name, pairing.mode) == ("moves-location", "DisasterRecovery")
        assert "backuplocation: moves-location" in documents.commands_of(pairing)["document"]
        estate.run(PairingJob.TEAR_DOWN, named="cms/by-hand")
        for side in (work.source, work.destination):
            assert not list(side.connection.list(backuplocation.RESOURCE, "cms"))


def test_one_that_leads_elsewhere_is_not_taken_for_this_destination(others: Estate) -> None:
    [found] = importing.found_on(source())
    elsewhere = factories.cluster(source().team, "elsewhere", portworx={"can_migrate": True})
    given: dict[str, Any] = {"name": "x", "object_store": ObjectStore.objects.get(), "by": others.by}
    with pytest.raises(Refusal, match="leads to prod"):
        importing.import_(source(), found.uid, destination=elsewhere, **given)
    with pytest.raises(Refusal, match="not on dev any more"):
        importing.import_(source(), "gone", destination=elsewhere, **given)


def test_take_down_deletes_it_only_with_its_name(others: Estate) -> None:
    imported(others)
    others.drive()
    pairing = others.run(PairingJob.TEAR_DOWN, credentials=True)
    assert others.step("object")["cause"] == "made-by-others"
    assert "with the name cms/by-hand" in others.step("object")["remedy"]
    assert states(pairing)["credentials"] == "skipped"
    others.run(PairingJob.TEAR_DOWN, named="cms/another")
    assert hand.statuses(others.dev, "cms", "by-hand") == ("Ready", "Ready")
    assert set(states(others.run(PairingJob.TEAR_DOWN, named="cms/by-hand")).values()) == {"ok"}
    assert not others.dev.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))


def test_setting_up_writes_it_anew_only_where_it_is_taken_over(others: Estate) -> None:
    imported(others)
    others.drive()
    uid = hand.get(others.dev, "clusterpairs", "cms", "by-hand")["metadata"]["uid"]
    others.run()
    assert others.step("applied")["cause"] == "made-by-others"
    assert hand.get(others.dev, "clusterpairs", "cms", "by-hand")["metadata"]["uid"] == uid
    pairing = others.run(take_over=True)
    assert pairing.is_ready
    assert "changed on dev" in others.step("applied")["message"]
    assert set(states(others.run(PairingJob.TEAR_DOWN)).values()) == {"ok"}


def test_the_page_and_the_api_import_it_without_its_secrets(others: Estate, client: Client) -> None:
    token = others.prod.call(storage_of).token
    client.force_login(others.by.user)
    page = client.get("/pairs/import/", {"cluster": source().pk}).content.decode()
    assert all(words in page for words in ("cms/by-hand", "found on cluster dev", "made by others", "***"))
    assert token not in page
    assert "Import ClusterPairs" in client.get("/pairs/").content.decode()
    headers = {"Authorization": f"Bearer {ApiToken.issue(others.by.user, 'test')[1]}"}
    path = f"/api/v1/clusters/{source().pk}/cluster-pairs/"
    answer = Client().get(path, headers=headers)
    assert token not in answer.content.decode()
    [row] = answer.json()["cluster_pairs"]
    assert (row["name"], row["pair"]) == ("by-hand", None)
    given = {
        "uid": row["uid"],
        "name": "theirs",
        "destination": row["destination"],
        "object_store": str(ObjectStore.objects.get().pk),
    }
    refused = client.post("/pairs/import/", {**given, "cluster": source().pk, "name": ""})
    assert refused.status_code == 422
    made = Client().post(path, json.dumps(given), content_type="application/json", headers=headers)
    assert made.status_code == 201, made.content
    assert made.json()["portworx"]["made_by_others"]
    page = client.get("/pairs/import/", {"cluster": source().pk}).content.decode()
    assert "It is a pair here already" in page


def test_a_changed_pair_is_validated_and_keeps_its_name_while_it_is_on_the_clusters(estate: Estate) -> None:
    from clusters import pair_services

    estate.run()
    pair = ClusterPair.objects.select_related("portworx").get(pk=estate.pair.pk)
    with pytest.raises(Conflict, match="cms/prodcluster is on the source"):
        pair_services.update(pair, portworx={"object_name": "renamed"}, by=estate.by)
    pair = ClusterPair.objects.select_related("portworx").get(pk=estate.pair.pk)
    pair_services.update(pair, portworx={"mode": "OneTimeMigration"}, by=estate.by)
    assert estate.fresh().job == PairingJob.VALIDATE
    estate.drive()
    assert "mode missing instead of OneTimeMigration" in estate.step("applied")["message"]
    assert estate.run().is_ready
    assert hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")["spec"]["options"]["mode"] == "OneTimeMigration"


def test_the_whole_document_is_for_admins_is_kept_nowhere_and_can_be_applied(estate: Estate, client: Client) -> None:
    token = estate.prod.call(storage_of).token
    client.force_login(estate.by.user)
    answer = client.get(f"/pairs/{estate.pair.pk}/document/whole/")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Disposition"] == 'attachment; filename="clusterpair-prodcluster.yaml"'
    document = yaml.safe_load(answer.content)
    assert document["spec"]["options"] == {"ip": hand.load_balancer(estate.prod), "port": "9001", "token": token}
    entry = Entry.objects.get(action="pair.download")
    assert entry.actor == estate.by.user
    assert token not in json.dumps([entry.before, entry.after])
    for cluster in (estate.dev, estate.prod):
        hand.add_credentials(cluster, estate.store, estate.credential)
    hand.create(estate.dev, "clusterpairs", document)
    hand.until(lambda: hand.statuses(estate.dev, "cms", "prodcluster") == ("Ready", "Ready"))
    headers = {"Authorization": f"Bearer {ApiToken.issue(estate.by.user, 'test')[1]}"}
    path = f"/api/v1/pairs/{estate.pair.pk}/document/"
    told = Client().get(path, {"secrets": "true"}, headers=headers)
    assert token in told.json()["document"]
    assert told["Cache-Control"] == "no-store"
    assert token not in Client().get(path, headers=headers).content.decode()


def test_replacing_credentials_tries_the_new_keys_first_and_survives_a_kill(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.run()
    before = {name: _credential(estate, name)["id"] for name in ("dev", "prod")}
    uid = hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")["metadata"]["uid"]
    store = ObjectStore.objects.get()
    right = store.secret_access_key
    store.secret_access_key = "wrong-canary"
    store.save()
    pairing = estate.run(replace_credentials=True)
    assert states(pairing)["credentials-destination"] == "failure"
    assert "canary" not in json.dumps(pairing.steps)
    # The old ones are still there and work; nothing else was left.
    assert {name: _credential(estate, name)["id"] for name in ("dev", "prod")} == before
    assert len(estate.prod.call(storage_of).credentials) == 1
    store.secret_access_key = right
    store.save()
    real, died = credentials.create, []

    def dies_once(portworx: Any, name: str, keys: Any) -> str:
        if name == estate.credential and not died:
            died.append(name)
            raise SystemExit
        return real(portworx, name, keys)

    monkeypatch.setattr(credentials, "create", dies_once)
    jobs.request(estate.pair, PairingJob.SET_UP, by=estate.by, replace_credentials=True)
    with pytest.raises(SystemExit):
        jobs.look(estate.fresh().pk)
    # The old ones are gone and the new ones not yet made: the next look makes them.
    assert not estate.prod.call(storage_of).credentials
    PortworxPairing.objects.update(lease_token=None, lease_expires_at=None)
    assert estate.drive().is_ready
    after = {name: _credential(estate, name)["id"] for name in ("dev", "prod")}
    assert not set(after.values()) & set(before.values())
    assert hand.get(estate.dev, "clusterpairs", "cms", "prodcluster")["metadata"]["uid"] != uid
    assert documents.masked_document(estate.fresh())


def _credential(estate: Estate, name: str) -> dict[str, Any]:
    cluster = {"dev": estate.dev, "prod": estate.prod}[name]
    [found] = cluster.call(storage_of).credentials
    return dict(found)
