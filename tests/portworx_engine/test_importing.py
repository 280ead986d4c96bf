"""Migrations that somebody made with kubectl are found, followed, and shown as storkctl and kubectl show them."""

from __future__ import annotations

from django.test import Client

from migrations_app.models import Migration, Status
from tests.engine.conftest import Estate, told
from tests.portworx_estate import hand


def test_a_migration_made_by_hand_is_imported_and_followed_to_its_end(px: Estate, client: Client) -> None:
    spec = {"clusterPair": "prod", "includeResources": True, "startApplications": True, "namespaces": ["cms"]}
    hand.create(px.dev, "migrations", hand.migration_document("byhand", "kube-system", **spec))
    client.force_login(px.by.user)
    found = client.get(f"/api/v1/pairs/{px.pair.pk}/stork-migrations/").json()
    assert [(each["namespace"], each["name"], each["namespaces"]) for each in found] == [
        ("kube-system", "byhand", ["cms"])
    ]
    assert "byhand" in client.get(f"/pairs/{px.pair.pk}/import-migrations/").content.decode()
    answer = client.post(
        f"/api/v1/pairs/{px.pair.pk}/stork-migrations/",
        {"uids": [found[0]["uid"]]},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    (made,) = answer.json()
    assert client.get(f"/api/v1/pairs/{px.pair.pk}/stork-migrations/").json() == []

    migration = px.drive(Migration.objects.get(pk=made["id"]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.imported
    assert migration.resources.count() == 9
    assert not px.different_files()

    texts = client.get(f"/api/v1/migrations/{migration.pk}/stork/").json()
    row = texts["get"].splitlines()[1].split()
    assert row[:6] == ["byhand", "prod", "Final", "Successful", "2/2", "9/9"]
    for line in ("Stage:   Final", "Status:  Successful", "Reason:      Resource migrated successfully"):
        words = line.split()
        assert any(each.split() == words for each in texts["describe"].splitlines()), line
    assert texts["describe"].count("Resource migrated successfully") >= 9
    assert texts["describe"].count("Migration successful for volume") == 2
    page = client.get(f"/migrations/{migration.pk}/stork/").content.decode()
    assert "storkctl get migration byhand -n kube-system" in page
