"""What a source's ApplicationRegistrations of Stork say of stopping operators' own kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.kube.connection import Connection
from migrations_app.resources import registrations
from migrations_app.resources.collect import collect
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make
from tests.resources.waiting import until

GROUP = "stork.libopenstorage.org"
PREFIX = f"{GROUP}/"


def registration(kind: str, **told: Any) -> Object:
    found = {"group": "db.example.com", "version": "v1", "kind": kind, **told}
    return {"metadata": {"name": kind.lower()}, "resources": [found]}


def options(path: str, type_: str, value: str = "") -> Object:
    return {"path": path, "type": type_, "value": value}


def stopped(obj: Object, *registered: Object) -> Object:
    spec = Spec(namespaces=("cms",), start_applications=False)
    return transformed(obj, Options("m1", "dev", spec, registrations.read(registered)))


def database(spec: Object) -> Object:
    return {
        "apiVersion": "db.example.com/v1",
        "kind": "Database",
        "metadata": {"name": "d", "namespace": "cms"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("given", "before", "after", "noted"),
    [
        (options("spec.size", "int"), {"size": 3}, {"size": 0}, "3,"),
        (options("spec.paused", "bool"), {"paused": False}, {"paused": True}, "false,true"),
        (options("spec.state", "string", "Halted"), {"state": "Running"}, {"state": "Halted"}, "Running,Halted"),
    ],
)
def test_a_registered_kind_is_stopped_as_it_is_registered(
    given: Object, before: Object, after: Object, noted: str
) -> None:
    found = stopped(database(before), registration("Database", suspendOptions=given))
    assert found["spec"] == after
    assert found["metadata"]["annotations"][PREFIX + given["path"]] == noted
    again = stopped(found, registration("Database", suspendOptions=given))
    assert again == found


def test_every_field_of_a_kind_is_set() -> None:
    several = [options("spec.a", "int"), options("spec.b", "bool")]
    found = stopped(database({"a": 2, "b": False}), registration("Database", customSuspendOptions=several))
    assert found["spec"] == {"a": 0, "b": True}


@pytest.mark.parametrize(
    "registered",
    [
        registration("Database"),
        registration("Database", suspendOptions=options("", "int")),
        registration("Database", suspendOptions=options("spec.size", "float")),
        registration("Database", suspendOptions=None, customSuspendOptions="x"),
        registration("Other", suspendOptions=options("spec.size", "int")),
        {"resources": "none"},
    ],
)
def test_what_says_nothing_changes_nothing(registered: Object) -> None:
    assert stopped(database({"size": 3}), registered)["spec"] == {"size": 3}


def test_a_registration_wins_over_what_is_built_in() -> None:
    obj = {**database({"replicas": 2, "paused": False}), "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus"}
    told = registration("Prometheus", suspendOptions=options("spec.paused", "bool"))
    told["resources"][0]["group"] = "monitoring.coreos.com"
    assert stopped(obj)["spec"] == {"replicas": 0, "paused": False}
    assert stopped(obj, told)["spec"] == {"replicas": 2, "paused": True}


@pytest.fixture
def registered(connection: Connection) -> Iterator[Connection]:
    """A cluster that has Stork's definition, and one kind registered."""
    names = {
        "plural": "applicationregistrations",
        "singular": "applicationregistration",
        "kind": "ApplicationRegistration",
    }
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": GROUP,
        "scope": "Cluster",
        "names": names,
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}],
    }
    name = f"applicationregistrations.{GROUP}"
    connection.create("customresourcedefinitions", make("CustomResourceDefinition", name, spec=spec))
    until(lambda: connection.discovery(fresh=True).find(name) is not None)
    body = registration("Database", suspendOptions=options("spec.size", "int"))
    connection.create(name, {"apiVersion": f"{GROUP}/v1alpha1", "kind": "ApplicationRegistration", **body})
    yield connection
    connection.delete("customresourcedefinitions", name)
    until(lambda: connection.discovery(fresh=True).find(name) is None)


def test_the_source_is_asked_only_where_applications_come_stopped(registered: Connection, namespace: str) -> None:
    told = {("db.example.com", "Database"): (("spec.size", 0),)}
    assert collect(registered, Spec(namespaces=(namespace,), start_applications=False)).suspensions == told
    assert collect(registered, Spec(namespaces=(namespace,))).suspensions == {}


def test_a_source_without_stork_says_nothing(connection: Connection, namespace: str) -> None:
    assert collect(connection, Spec(namespaces=(namespace,), start_applications=False)).suspensions == {}
