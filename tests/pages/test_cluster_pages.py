"""Pages of clusters, object stores and pairs: what forms send, what they refuse, and what they never show again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.models import Entry
from clusters.models import Cluster, ClusterPair, Health, ObjectStore
from tests import factories

KUBECONFIG = Path(__file__).parent.joinpath("kubeconfig.yaml").read_text()
NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture(autouse=True)
def on_this_machine(settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True


def test_a_cluster_that_does_not_answer_is_added_and_its_page_says_what_is_wrong(
    company: factories.Company, alice: Client
) -> None:
    given = {"team": company.team.pk, "name": "ohio", "description": "Tests", "kubeconfig": KUBECONFIG}
    page = alice.post("/clusters/add/", given, follow=True).content.decode()
    added = Cluster.objects.get(name="ohio")
    assert added.health == Health.FAILING
    assert added.created_by == company.alice
    assert "ohio is added." in page
    assert "What to do:" in page
    assert "sesame" not in page
    assert Entry.objects.filter(action="cluster.add", actor=company.alice).exists()


def test_a_kubeconfig_can_come_as_a_file(company: factories.Company, alice: Client) -> None:
    file = SimpleUploadedFile("config", KUBECONFIG.encode())
    alice.post("/clusters/add/", {"team": company.team.pk, "name": "ohio", "kubeconfig_file": file})
    assert Cluster.objects.get(name="ohio").server == "https://127.0.0.1:9"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "ohio", "kubeconfig": ""}, "Paste a kubeconfig, or choose a file."),
        ({"name": "ohio", "kubeconfig_file": SimpleUploadedFile("c", b"\xff\xfe\x00")}, "This file is not text."),
        ({"name": "ohio", "kubeconfig_file": SimpleUploadedFile("c", b"x" * 300_000)}, "larger than 256 KiB"),
        ({"name": "ohio", "kubeconfig": KUBECONFIG.replace("token: sesame", "exec: {command: rm}")}, "exec"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused_at_its_field(
    company: factories.Company, alice: Client, given: dict[str, object], message: str
) -> None:
    response = alice.post("/clusters/add/", {"team": company.team.pk, **given})
    assert response.status_code == 422
    assert message in response.content.decode()
    assert not Cluster.objects.filter(name="ohio").exists()


def test_a_cluster_cannot_be_added_to_a_team_that_one_does_not_administer(
    company: factories.Company, alice: Client
) -> None:
    given = {"team": company.other_team.pk, "name": "ohio", "kubeconfig": KUBECONFIG}
    assert alice.post("/clusters/add/", given).status_code == 422
    assert not Cluster.objects.filter(name="ohio").exists()


def test_a_taken_name_is_refused_at_its_field(company: factories.Company, alice: Client) -> None:
    response = alice.post("/clusters/add/", {"team": company.team.pk, "name": "dev", "kubeconfig": KUBECONFIG})
    assert response.status_code == 422
    assert 'id="id_name_error"' in response.content.decode()


def test_a_secret_that_is_left_empty_stays(company: factories.Company, alice: Client) -> None:
    alice.post(f"/clusters/{company.source.pk}/edit/", {"name": "development", "description": "", "kubeconfig": ""})
    cluster = Cluster.objects.get(pk=company.source.pk)
    assert cluster.name == "development"
    assert "sesame" in cluster.kubeconfig
    given = {"name": "moves", "endpoint": NOBODY, "region": "eu-west-1", "bucket": "moves", "prefix": "p"}
    alice.post(f"/object-stores/{company.store.pk}/edit/", given | {"access_key_id": "", "secret_access_key": ""})
    store = ObjectStore.objects.get(pk=company.store.pk)
    assert store.region == "eu-west-1"
    assert (store.access_key_id, store.secret_access_key) == ("AKIDSESAME", "sesame-secret")


def test_an_object_store_is_added_and_checked(company: factories.Company, alice: Client) -> None:
    given = {"team": company.team.pk, "name": "second", "endpoint": NOBODY, "region": "r", "bucket": "moves"}
    response = alice.post("/object-stores/add/", given | {"access_key_id": "AKID", "secret_access_key": "hidden-key"})
    store = ObjectStore.objects.get(name="second")
    assert response["Location"] == f"/object-stores/{store.pk}/"
    assert store.health == Health.FAILING
    assert "hidden-key" not in alice.get(f"/object-stores/{store.pk}/edit/").content.decode()


def test_a_refused_form_does_not_repeat_the_kubeconfig(company: factories.Company, alice: Client) -> None:
    response = alice.post("/clusters/add/", {"team": company.team.pk, "name": "dev", "kubeconfig": KUBECONFIG})
    assert response.status_code == 422
    assert "sesame" not in response.content.decode()


def test_a_refused_form_does_not_repeat_the_secret_key(company: factories.Company, alice: Client) -> None:
    given = {"team": company.team.pk, "name": "moves", "endpoint": NOBODY, "region": "r", "bucket": "moves"}
    response = alice.post("/object-stores/add/", given | {"access_key_id": "AKID", "secret_access_key": "hidden-key"})
    assert response.status_code == 422
    assert "hidden-key" not in response.content.decode()


def test_a_pair_translates_each_class_of_its_source(company: factories.Company, alice: Client) -> None:
    page = alice.get("/pairs/add/").content.decode()
    assert 'name="class:gp3"' in page
    given = {
        "team": company.team.pk,
        "name": "there",
        "source": company.source.pk,
        "destination": company.pair.destination.pk,
        "object_store": company.store.pk,
        "engine": "native",
        "class:gp3": "gp3-csi",
        "class:efs-rwx": "",
    }
    assert alice.post("/pairs/add/", given).status_code == 302
    assert ClusterPair.objects.get(name="there").storage_class_mapping == {"gp3": "gp3-csi"}


def test_where_classes_are_not_known_they_are_written(company: factories.Company, alice: Client) -> None:
    Cluster.objects.update(storage_classes=[])
    at = f"/pairs/{company.pair.pk}/edit/"
    assert "gp3 = gp3-csi" in alice.get(at).content.decode()
    given = {
        "name": "dev-to-prod",
        "source": company.source.pk,
        "destination": company.pair.destination.pk,
        "object_store": company.store.pk,
        "engine": "native",
    }
    response = alice.post(at, given | {"class_mapping": "gp3 - gp3-csi"})
    assert "not of the form SOURCE = DESTINATION" in response.content.decode()
    assert alice.post(at, given | {"class_mapping": "slow = standard\n\nfast=premium"}).status_code == 302
    company.pair.refresh_from_db()
    assert company.pair.storage_class_mapping == {"slow": "standard", "fast": "premium"}


def test_a_pair_of_one_cluster_with_itself_is_refused(company: factories.Company, alice: Client) -> None:
    given = {"name": "x", "source": company.source.pk, "destination": company.source.pk}
    given |= {"object_store": company.store.pk, "engine": "native", "team": company.team.pk}
    response = alice.post("/pairs/add/", given)
    assert "Source and destination are the same cluster." in response.content.decode()


def test_what_is_in_use_is_not_removed_and_the_page_says_why(company: factories.Company, alice: Client) -> None:
    at = f"/clusters/{company.source.pk}/remove/"
    assert "dev-to-prod" in alice.get(at).content.decode()
    page = alice.post(at, follow=True).content.decode()
    assert "dev is in use by" in page
    assert Cluster.objects.filter(pk=company.source.pk).exists()


def test_what_is_not_in_use_is_removed(company: factories.Company, alice: Client) -> None:
    spare = factories.object_store(company.team, "spare")
    page = alice.post(f"/object-stores/{spare.pk}/remove/", follow=True).content.decode()
    assert "spare is removed." in page
    assert not ObjectStore.objects.filter(pk=spare.pk).exists()


def test_lists_filter_sort_and_page(company: factories.Company, alice: Client) -> None:
    for number in range(60):
        factories.cluster(company.team, f"edge-{number:02}")
    page = alice.get("/clusters/?ordering=-name").content.decode()
    assert page.index("prod") < page.index("edge-59")
    assert 'aria-sort="descending"' in page
    assert "1–50 of 62" in page
    assert "edge-07" in alice.get("/clusters/?name=EDGE-07").content.decode()
    assert "edge-08" not in alice.get("/clusters/?name=EDGE-07").content.decode()
    assert "dev" in alice.get("/clusters/?health=warning").content.decode()
    assert "Nothing fits the filter" in alice.get("/clusters/?name=nothing-like-it").content.decode()
