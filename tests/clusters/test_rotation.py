"""Keys can be changed: `rotate_secrets` encrypts everything with the new one, and the old one can go."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from clusters.encryption import EncryptedTextField
from clusters.models import Cluster, ObjectStore
from migrations_app.models import Migration, MigrationResource
from migrations_app.verifications.models import Verification
from tests import factories

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
# How many secrets each encrypted column holds.
SECRETS = {
    "clusters_cluster.kubeconfig": 2,
    "clusters_objectstore.access_key_id": 1,
    "clusters_objectstore.secret_access_key": 1,
    "migrations_app_migration.data_key": 1,
    "migrations_app_migrationresource.former": 1,
    "migrations_app_verification.key": 1,
}


@pytest.fixture
def migration(settings: Any, db: None) -> Migration:
    """Rows whose secrets are all encrypted with the old key."""
    settings.ENCRYPTION_KEYS = [OLD]
    migration = factories.company().migration
    Migration.objects.filter(pk=migration.pk).update(data_key="sesame-data-key")
    MigrationResource.objects.filter(migration=migration, kind="Secret").update(former='{"data": "sesame"}')
    Verification.objects.create(migration=migration, key="sesame-verification-key")
    return migration


def stored() -> dict[str, list[str]]:
    """Every encrypted column as it stands in the database, without the field's help."""
    found = {}
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                with connection.cursor() as cursor:
                    cursor.execute(f'SELECT "{field.column}" FROM "{model._meta.db_table}"')
                    rows = [text for (text,) in cursor.fetchall() if text]
                found[f"{model._meta.db_table}.{field.column}"] = rows
    return found


def rotate() -> str:
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    return out.getvalue()


def test_every_secret_is_readable_with_the_new_key_alone(migration: Migration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert rotate().splitlines() == [
        "clusters.Cluster: 2",
        "clusters.ObjectStore: 1",
        "migrations_app.Migration: 1",
        "migrations_app.MigrationResource: 4",
        "migrations_app.Verification: 1",
    ]
    assert {column: len(rows) for column, rows in stored().items()} == SECRETS
    for rows in stored().values():
        for text in rows:
            Fernet(NEW).decrypt(text)
    settings.ENCRYPTION_KEYS = [NEW]
    assert Cluster.objects.get(name="dev").kubeconfig == "kubeconfig of dev with sesame-token"
    assert ObjectStore.objects.get().access_key_id == "AKIDSESAME"
    assert ObjectStore.objects.get().secret_access_key == "sesame-secret"
    assert Migration.objects.get().data_key == "sesame-data-key"
    assert MigrationResource.objects.get(kind="Secret").former == '{"data": "sesame"}'
    assert Verification.objects.get().key == "sesame-verification-key"


def test_nothing_but_the_secrets_is_written(migration: Migration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    before = Migration.objects.values("stage", "status", "last_event_seq", "next_look_at", "created_at").get()
    rotate()
    assert Migration.objects.values("stage", "status", "last_event_seq", "next_look_at", "created_at").get() == before


def test_what_cannot_be_decrypted_is_named_and_the_rest_is_rotated(migration: Migration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    lost = factories.cluster(migration.team, "lost")
    with connection.cursor() as cursor:
        unknown = Fernet(Fernet.generate_key()).encrypt(b"sesame-lost").decode()
        cursor.execute("UPDATE clusters_cluster SET kubeconfig = %s WHERE name = 'lost'", [unknown])
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match=str(lost.pk)) as error:
        rotate()
    assert "enter them anew" in str(error.value)
    assert unknown not in str(error.value)
    settings.ENCRYPTION_KEYS = [NEW]
    assert Cluster.objects.get(name="dev").kubeconfig.endswith("sesame-token")
