"""A team with Alice in it, a cluster, and a migration that has not begun."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from clusters.models import Cluster, ClusterPair, ObjectStore
from migrations_app.models import Migration
from teams.models import Membership, Role, Team


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Content platform")


@pytest.fixture
def alice(team: Team) -> Any:
    user = get_user_model().objects.create_user("alice")
    Membership.objects.create(team=team, user=user, role=Role.ADMIN)
    return user


@pytest.fixture
def cluster(team: Team) -> Cluster:
    return Cluster.objects.create(team=team, name="dev", kubeconfig="kubeconfig", server="https://dev.example.com:6443")


@pytest.fixture
def migration(team: Team, cluster: Cluster) -> Migration:
    prod = Cluster.objects.create(
        team=team, name="prod", kubeconfig="kubeconfig", server="https://prod.example.com:6443"
    )
    store = ObjectStore.objects.create(team=team, name="store", bucket="b", access_key_id="a", secret_access_key="s")
    pair = ClusterPair.objects.create(
        team=team, name="dev-to-prod", source=cluster, destination=prod, object_store=store
    )
    return Migration.objects.create(team=team, name="cmsmigration", pair=pair, namespaces=["cms"])
