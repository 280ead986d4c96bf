"""Rows 10 to 13 of the story through the API, the description row by row; and Migrations that others made."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from django.test import Client

from migrations_app.models import Migration, Status
from teams.models import ApiToken
from tests.engine.conftest import Estate, told
from tests.portworx_engine import described, nine
from tests.portworx_estate import hand

KUBECTL = shutil.which("kubectl")


class Caller:
    """The API with a token of Alice's."""

    def __init__(self, estate: Estate) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {ApiToken.issue(estate.by.user, 'test')[1]}"})

    def get(self, path: str, expected: int = 200) -> Any:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == expected, answer.content
        return answer.json()

    def post(self, path: str, body: Any, expected: int = 201) -> Any:
        answer = self.client.post(f"/api/v1{path}", body, content_type="application/json")
        assert answer.status_code == expected, answer.content
        return answer.json()


@pytest.fixture
def api(px: Estate) -> Caller:
    return Caller(px)


def test_the_story_by_the_api_row_by_row(px: Estate, api: Caller) -> None:
    # 10: the Migration is made.
    body = {"pair": str(px.pair.pk), "name": "cmsmigration", "namespaces": ["cms"], "start_applications": True}
    made = api.post("/migrations/", body)
    path = f"/migrations/{made['id']}/"
    assert "does not exist yet" in api.get(f"{path}stork/", expected=409)["detail"]
    migration = px.drive(Migration.objects.get(pk=made["id"]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    texts = api.get(f"{path}stork/")

    names = {row.volume for row in migration.volumes.all()}
    described.check_table(texts["get"], pair="prod")
    described.check_description(texts["describe"], pair="prod", namespace="kube-system", volumes=names)
    ours = [each for each in api.get(f"{path}events/?page_size=500")["results"] if each["source"] == "stork"]
    assert {each["message"] for each in ours[:2]} == {f"Volume {name} migrated successfully" for name in names}
    assert sum(each["count"] for each in ours) == 13

    # 13: all of it is on the destination.
    assert px.objects("prod", "deployments.apps").keys() == {"mysql", "wordpress"}
    assert px.objects("prod", "services").keys() == {"mysql", "wordpress"}
    assert px.objects("prod", "routes.route.openshift.io").keys() == {"wp"}
    assert px.objects("prod", "persistentvolumeclaims").keys() == set(nine.CLAIMS)
    assert not px.different_files()


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine")
def test_the_description_is_what_kubectl_prints(px: Estate, api: Caller) -> None:
    migration = px.drive(px.start())
    ours = api.get(f"/migrations/{migration.pk}/stork/")["describe"]
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", str(px.dev.kubeconfig_path), "describe", "migrations", "cmsmigration"]
    theirs = subprocess.run([*command, "-n", "kube-system"], capture_output=True, text=True, check=True).stdout
    # Ages go on between the two.
    ages = re.compile(r"\b\d+s( \(x\d+ over \d+s\))?\s+")
    assert ages.sub("", ours).split("Events:")[0] == ages.sub("", theirs).split("Events:")[0]
    assert len(ours.splitlines()) == len(theirs.splitlines())


def by_others(px: Estate, name: str, **spec: Any) -> None:
    given = {"clusterPair": "prod", "namespaces": ["cms"], "startApplications": True, **spec}
    hand.create(px.dev, "migrations", hand.migration_document(name, "kube-system", **given))


def test_a_finished_migration_of_others_is_imported_with_what_it_did(px: Estate, api: Caller) -> None:
    by_others(px, "theirs")
    hand.finished(px.dev, "theirs", "kube-system")
    by_others(px, "elsewhere", clusterPair="another")
    (found,) = api.get(f"/pairs/{px.pair.pk}/stork-migrations/")
    assert (found["namespace"], found["name"], found["status"]) == ("kube-system", "theirs", "Successful")
    (made,) = api.post(f"/pairs/{px.pair.pk}/stork-migrations/", {"uids": [found["uid"]]})
    migration = px.drive(Migration.objects.get(pk=made["id"]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.reason.startswith("Stork's verdict is Successful: 2 of 2 volumes and 9 of 9 resources")
    assert migration.resources.count() == 9
    recorded = hand.get(px.dev, "migrations", "kube-system", "theirs")
    assert migration.finished_at is not None
    assert migration.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") >= recorded["metadata"]["creationTimestamp"]
    assert api.get(f"/pairs/{px.pair.pk}/stork-migrations/") == []
    api.post(f"/pairs/{px.pair.pk}/stork-migrations/", {"uids": [found["uid"]]}, expected=400)
    assert hand.get(px.dev, "migrations", "kube-system", "theirs") == recorded


def test_a_running_migration_of_others_is_followed_and_not_cancelled(px: Estate, api: Caller) -> None:
    px.s3.faults.latency = 0.2
    by_others(px, "theirs")
    hand.until(lambda: (hand.get(px.dev, "migrations", "kube-system", "theirs").get("status") or {}).get("volumes"))
    (found,) = api.get(f"/pairs/{px.pair.pk}/stork-migrations/")
    (made,) = api.post(f"/pairs/{px.pair.pk}/stork-migrations/", {"uids": [found["uid"]]})
    assert "only followed" in api.post(f"/migrations/{made['id']}/cancel/", {}, expected=409)["detail"]
    px.s3.faults.latency = 0.0
    migration = px.drive(Migration.objects.get(pk=made["id"]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.events.filter(source="stork").exists()


def test_pages_show_texts_and_what_can_be_imported(px: Estate) -> None:
    by_others(px, "theirs", includeVolumes=False)
    hand.finished(px.dev, "theirs", "kube-system")
    client = Client()
    client.force_login(px.by.user)
    address = f"/pairs/{px.pair.pk}/import-migrations/"
    shown = client.get(address).content.decode()
    assert "kube-system/theirs" in shown
    (uid,) = re.findall(r'name="uid" value="([^"]+)"', shown)
    answer = client.post(address, {"uid": [uid]})
    migration = px.drive(Migration.objects.get(imported=True))
    assert answer.headers["Location"] == migration.get_absolute_url()
    page = client.get(migration.get_absolute_url()).content.decode()
    assert "imported: only followed here" in page
    assert "kind: Migration" in page
    assert "pxctl cluster token show" in page
    texts = client.get(f"/migrations/{migration.pk}/stork/").content.decode()
    assert "storkctl get migration theirs -n kube-system" in texts
    assert "Cluster Pair:" in texts
    px.dev.faults.stopped = True
    assert "refuses connections" in client.get(f"/migrations/{migration.pk}/stork/").content.decode()
