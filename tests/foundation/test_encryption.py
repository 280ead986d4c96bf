"""Secrets at rest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from clusters.encryption import UndecryptableError
from clusters.models import Cluster

pytestmark = pytest.mark.django_db


def stored(cluster: Cluster) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT kubeconfig FROM clusters_cluster")
        return cursor.fetchone()[0]


def test_the_database_never_holds_a_secret_in_clear(cluster: Cluster) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(kubeconfig="CANARY-kubeconfig")
    assert "CANARY" not in stored(cluster)
    assert Cluster.objects.get(pk=cluster.pk).kubeconfig == "CANARY-kubeconfig"


def test_an_older_key_still_decrypts(cluster: Cluster, settings: object) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(kubeconfig="CANARY")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]  # type: ignore[attr-defined]
    assert Cluster.objects.get(pk=cluster.pk).kubeconfig == "CANARY"


def test_a_lost_key_is_named_as_what_it_is(cluster: Cluster, settings: object) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]  # type: ignore[attr-defined]
    with pytest.raises(UndecryptableError, match="KUBEMOTION_ENCRYPTION_KEYS"):
        Cluster.objects.get(pk=cluster.pk)
