"""A pair of the engine portworx while Portworx cannot migrate: what does not need it can be changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audit.actor import Actor
from clusters import pair_services
from clusters.models import ClusterPair, Engine
from teams.models import Role, Team
from teams.refusals import Refusal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(team: Team) -> ClusterPair:
    """Neither of its clusters has a Portworx, as far as their last checks say."""
    return factories.portworx_pair(team)


def test_name_store_classes_and_endpoint_can_be_changed(pair: ClusterPair, team: Team, by: Actor) -> None:
    other = factories.object_store(team, "other")
    pair_services.update(
        pair,
        by=by,
        name="renamed",
        object_store=other,
        storage_class_mapping={"gp3": "io2"},
        # What stays as it is needs nothing, as a form sends all.
        engine=Engine.PORTWORX,
        source=pair.source,
        destination=pair.destination,
        portworx={"endpoint_host": "px.example.com", "mode": "DisasterRecovery"},
    )
    fresh = ClusterPair.objects.select_related("portworx").get()
    assert (fresh.name, fresh.object_store, fresh.storage_class_mapping) == ("renamed", other, {"gp3": "io2"})
    assert (fresh.portworx.endpoint_host, fresh.portworx.mode) == ("px.example.com", "DisasterRecovery")


@pytest.mark.parametrize("field", ["source", "destination"])
def test_another_cluster_needs_it(pair: ClusterPair, team: Team, by: Actor, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        pair_services.update(pair, by=by, **{field: factories.cluster(team, "third")})
    assert "no Portworx" in str(refused.value.errors["engine"])


def test_a_native_pair_cannot_become_one(team: Team, by: Actor) -> None:
    with pytest.raises(Refusal) as refused:
        pair_services.update(factories.pair(team), by=by, engine=Engine.PORTWORX)
    assert "no Portworx" in str(refused.value.errors["engine"])


def test_the_page_changes_it_too(pair: ClusterPair, team: Team, client: Client) -> None:
    client.force_login(factories.member("alice", team, Role.ADMIN))
    path = f"/pairs/{pair.pk}/edit/"
    page = client.get(path)
    assert "Portworx cannot be used here" in page.content.decode()
    given: dict[str, Any] = {
        name: value.pk if hasattr(value, "pk") else value
        for name, value in page.context["form"].initial.items()
        if value is not None
    }
    answer = client.post(path, given | {"name": "renamed"})
    assert answer.status_code == 302, answer.content.decode()
    assert ClusterPair.objects.get().name == "renamed"
