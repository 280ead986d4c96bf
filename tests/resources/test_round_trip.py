"""A namespace collected, renamed, applied and collected again gives the same set: two that refer to one another."""

from __future__ import annotations

from typing import Any

from clusters.kube.connection import Connection
from migrations_app.resources.apply import Result, apply
from migrations_app.resources.collect import collect
from migrations_app.resources.marks import key_of
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, namespaces, transformed
from tests.resources.objects import Object, make, workload
from tests.resources.test_collect import put

RBAC = "rbac.authorization.k8s.io"
NAME = "kubernetes.io/metadata.name"


def three_tiers(web: str, db: str) -> list[Object]:
    """A web application with Ingress and autoscaler in one namespace, its database in another."""
    peer = {"namespaceSelector": {"matchLabels": {NAME: web}}, "podSelector": {"matchLabels": {"app": "web"}}}
    out = {"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "In", "values": [db]}]}}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    ref = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "web", "namespace": web}]
    return [
        make("ConfigMap", "settings", web, data={"DB": f"db.{db}.svc"}),
        make("ServiceAccount", "web", web),
        workload("Deployment", "web", web, spec={"replicas": 2}),
        workload("Deployment", "api", web),
        make("Service", "web", web, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        make("Ingress", "web", web, spec={"rules": [{"host": "shop.example.com", "http": {"paths": paths}}]}),
        make("HorizontalPodAutoscaler", "web", web, spec={"scaleTargetRef": target, "maxReplicas": 5}),
        make(
            "NetworkPolicy",
            "to-db",
            web,
            spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [out]}]},
        ),
        make("NetworkPolicy", "from-web", db, spec={"podSelector": {}, "ingress": [{"from": [peer]}]}),
        workload("StatefulSet", "db", db, spec={"replicas": 2}),
        make("Service", "db", db, spec={"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 3306}]}),
        make("Secret", "password", db, data={"a": "MQ=="}),
        make("Role", "reader", db, rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]),
        make("RoleBinding", "reader", db, roleRef=ref, subjects=subjects),
    ]


def by_key(objects: list[Object]) -> dict[Any, Object]:
    return {key_of(obj): obj for obj in objects}


def test_two_namespaces_that_refer_to_one_another_are_the_same_under_other_names(
    connection: Connection, namespace: str
) -> None:
    web, db = f"{namespace}-web", f"{namespace}-db"
    mapping = {web: f"{web}-there", db: f"{db}-there"}
    for name in (*mapping, *mapping.values()):
        connection.create("namespaces", make("Namespace", name))
    given = three_tiers(web, db)
    put(connection, *given)
    spec = Spec(namespaces=(web, db), namespace_mapping=mapping)
    options = Options("m1", "dev", spec)
    collected = collect(connection, spec)
    assert by_key(collected.objects).keys() == by_key(given).keys()
    wanted = [transformed(obj, options) for obj in collected.objects]
    results: list[Result] = []
    assert apply(connection, wanted, migration_id="m1", on_result=results.append)
    assert {(each.status, each.action) for each in results} == {("Successful", "created")}, results
    there = collect(connection, Spec(namespaces=tuple(mapping.values())))
    found = by_key([transformed(obj, Options("m1", "dev")) for obj in there.objects])
    assert found.keys() == by_key(wanted).keys()
    # Brought back to the source's names, each says what the source's says.
    back = {name: source for source, name in mapping.items()}
    plain = Options("m1", "dev", Spec(namespaces=()))
    expected = by_key([transformed(obj, plain) for obj in collected.objects])
    for obj in found.values():
        namespaces.rename(obj, back)
        assert obj == expected[key_of(obj)]
