"""Migrations in declarative form: what comes out goes in again, and what is wrong is named with its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from migrations_app.models import Migration
from tests import factories
from tests.api.conftest import Caller, as_user
from tests.factories import Company

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

EVERYTHING = {
    "namespaces": ["cms", "shop"],
    "include_volumes": False,
    "start_applications": False,
    "selection": {
        "label_selector": "tier in (front, back),!canary",
        "exclude_selectors": ["app=cache"],
        "exclude_kinds": ["events", "*.example.com"],
        "include_objects": ["serviceaccounts/cms/builder"],
        "exclude_objects": ["secrets/cms/mysql-root"],
        "include_owned": True,
    },
    "namespace_mapping": {"cms": "cms-blue"},
    "storage_class_mapping": {"gp3": "efs-sc", "slow": ""},
    "access_mode_mapping": {"ReadWriteOnce": "ReadWriteOncePod"},
    "image_mapping": {"registry.dev.example.com:5000/cms": "registry.example.com/cms"},
    "host_mapping": {"apps.dev.example.com": "apps.example.com"},
    "transformations": [
        {"name": "small", "rules": [{"name": "one", "mergePatches": [{"metadata": {"labels": {"size": "small"}}}]}]}
    ],
    "conflict_policy": "take-over",
    "purge_deleted_resources": True,
}
FIELDS = (*EVERYTHING, "include_resources", "stork_options")


def apply(caller: Caller, text: Any) -> Any:
    given = text if isinstance(text, str) else yaml.safe_dump(text)
    return caller.send("POST", "/migrations/apply/", given, "application/yaml")


def manifest(name: str = "declared", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubemotion.io/v1alpha1",
        "kind": "Migration",
        "metadata": {"name": name},
        "spec": {"pair": "dev-to-prod", "namespaces": ["cms"], **spec},
    }


def shown(caller: Caller, migration: str) -> Any:
    return caller.send("GET", f"/migrations/{migration}/manifest/", b"", Accept="application/json").json()


def pointers(answer: Any) -> set[str]:
    return {row["pointer"] for row in answer.json()["errors"]}


def test_every_field_of_a_spec_can_be_written_and_read(world: Company, alice: Caller) -> None:
    answer = alice.post("/migrations/", {"pair": str(world.pair.pk), "name": "whole", **EVERYTHING})
    assert answer.status_code == 201, answer.content
    shown = alice.get(f"/migrations/{answer.json()['id']}/").json()
    selection = {"include_kinds": [], **EVERYTHING["selection"]}  # type: ignore[dict-item]
    assert {name: shown[name] for name in EVERYTHING} == {**EVERYTHING, "selection": selection}


def test_a_manifest_that_comes_out_goes_in_again(world: Company, alice: Caller) -> None:
    first = alice.post("/migrations/", {"pair": str(world.pair.pk), "name": "whole", **EVERYTHING}).json()
    answer = alice.send("GET", f"/migrations/{first['id']}/manifest/", b"", Accept="application/yaml")
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    text = answer.content.decode()
    assert text.startswith("apiVersion: kubemotion.io/v1alpha1\nkind: Migration\nmetadata:\n  name: whole\nspec:\n")
    assert apply(alice, text).status_code == 200, "it is there already"
    assert Migration.objects.filter(name="whole").count() == 1
    made = apply(alice, text.replace("name: whole", "name: again"))
    assert made.status_code == 201, made.content
    assert {name: made.json()[name] for name in FIELDS} == {name: first[name] for name in FIELDS}
    second = shown(alice, made.json()["id"])
    assert {**second, "metadata": {"name": "whole"}} == yaml.safe_load(text)


def test_a_small_manifest_stays_small(world: Company, alice: Caller) -> None:
    made = apply(alice, manifest())
    assert made.status_code == 201, made.content
    assert shown(alice, made.json()["id"]) == manifest()


def test_rules_can_be_named_and_are_kept_as_they_were(world: Company, alice: Caller) -> None:
    rules = EVERYTHING["transformations"][0]["rules"]  # type: ignore[index]
    alice.post("/transformations/", {"team": str(world.team.pk), "name": "small", "rules": rules})
    made = apply(alice, manifest(transformations=["small"]))
    assert made.status_code == 201, made.content
    assert made.json()["transformations"] == [{"name": "small", "rules": rules}]
    assert pointers(apply(alice, manifest("other", transformations=["smaller"]))) == {"/spec/transformations"}


def test_json_is_taken_as_well(world: Company, alice: Caller) -> None:
    assert alice.post("/migrations/apply/", manifest()).status_code == 201
    assert alice.post("/migrations/apply/", manifest()).status_code == 200


def test_a_name_that_is_taken_by_something_else_is_refused(world: Company, alice: Caller) -> None:
    apply(alice, manifest())
    answer = apply(alice, manifest(includeVolumes=False))
    assert answer.status_code == 409
    assert pointers(answer) == {"/metadata/name"}
    assert "include_volumes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"kind": "Migration"}, {"/apiVersion", "/metadata", "/spec"}),
        (manifest(namespaceMaping={}), {"/spec/namespaceMaping"}),
        (manifest(namespace_mapping={}), {"/spec/namespace_mapping"}),
        (manifest(selection={"labels": "a=b"}), {"/spec/selection/labels"}),
        (manifest(pair="nowhere"), {"/spec/pair"}),
        (manifest(name="Not A Name"), {"/metadata/name"}),
        (manifest(name=""), {"/metadata/name"}),
        (manifest(namespaces=["kube-system"]), {"/spec/namespaces"}),
        (manifest(namespaces="cms"), {"/spec/namespaces"}),
        (manifest(namespaceMapping={"cms": "kube-system"}), {"/spec/namespaceMapping"}),
        (manifest(namespaceMapping={"shop": "shop-blue"}), {"/spec/namespaceMapping"}),
        (manifest(selection={"labelSelector": "a=(b"}), {"/spec/selection/labelSelector"}),
        (manifest(selection={"excludeObjects": ["mysql"]}), {"/spec/selection/excludeObjects"}),
        (manifest(selection={"includeOwned": "perhaps"}), {"/spec/selection/includeOwned"}),
        (manifest(accessModeMapping={"RWO": "RWX"}), {"/spec/accessModeMapping"}),
        (manifest(hostMapping={"http://a": "b"}), {"/spec/hostMapping"}),
        (manifest(imageMapping={"a b": "c"}), {"/spec/imageMapping"}),
        (manifest(conflictPolicy="overwrite"), {"/spec/conflictPolicy"}),
        (manifest(transformations=[{"name": "x", "rules": [{"patches": [{"op": "fly"}]}]}]), {"/spec/transformations"}),
        (manifest(includeVolumes=False, includeResources=False), {"/spec/includeResources"}),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    world: Company, alice: Caller, given: dict[str, Any], places: set[str]
) -> None:
    answer = apply(alice, given)
    assert answer.status_code == 400, answer.content
    assert pointers(answer) == places


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: &x [1]\nb: *x",
        "a: 1\na: 2",
        "!!python/object/apply:os.system [true]",
        "1: 2",
        "\ud800".encode("utf-16", "surrogatepass"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(world: Company, alice: Caller, text: Any) -> None:
    answer = alice.send("POST", "/migrations/apply/", text, "application/yaml")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 400


def test_a_problem_is_json_even_for_who_accepts_yaml_only(world: Company) -> None:
    answer = as_user(world.mallory).send(
        "GET", f"/migrations/{world.migration.pk}/manifest/", b"", Accept="application/yaml"
    )
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not found"


def test_a_pair_of_another_team_is_no_pair(world: Company) -> None:
    factories.pair(
        world.other_team,
        "theirs",
        source=factories.cluster(world.other_team, "east"),
        destination=factories.cluster(world.other_team, "west"),
        object_store=factories.object_store(world.other_team),
    )
    assert pointers(apply(as_user(world.alice), manifest(pair="theirs"))) == {"/spec/pair"}
    answer = apply(as_user(world.bob), manifest())
    assert answer.status_code == 403
