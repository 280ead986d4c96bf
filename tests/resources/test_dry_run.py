"""What would become of each object, as the destination itself says, and nothing is written."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clusters.kube.connection import Connection
from clusters.kube.errors import NotFound, Unavailable
from demo.cluster.server import ClusterHandle
from migrations_app.resources.dry_run import Planned, counts, dry_run
from migrations_app.resources.spec import ConflictPolicy
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, edit, make, workload

OURS = "m2"
EARLIER = "m1"


def wanted(kind: str, name: str, namespace: str, **fields: Any) -> Object:
    return transformed(make(kind, name, namespace, **fields), Options(OURS, source="dev"))


def planned(
    connection: Connection, objects: list[Object], policy: ConflictPolicy = ConflictPolicy.REFUSE, **options: Any
) -> dict[str, Planned]:
    found: list[Planned] = []
    assert dry_run(
        connection, objects, migration_id=OURS, policy=policy, on_planned=found.append, earlier={EARLIER}, **options
    )
    assert len(found) == len(objects)
    return {f"{each.kind} {each.name}": each for each in found}


def everything(connection: Connection, namespace: str) -> dict[str, str]:
    """The version of each object of the namespace that objects of these tests are of."""
    kinds = ("configmaps", "secrets", "services", "deployments.apps", "serviceaccounts")
    return {
        f"{kind} {each['metadata']['name']}": each["metadata"]["resourceVersion"]
        for kind in kinds
        for each in connection.list(kind, namespace)
    }


def test_what_is_absent_would_be_made_and_nothing_is(connection: Connection, namespace: str) -> None:
    before = everything(connection, namespace)
    objects = [
        workload("Deployment", "web", namespace),
        make("Service", "web", namespace, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        *(make("ConfigMap", f"c{number}", namespace) for number in range(9)),
    ]
    found = planned(connection, [transformed(each, Options(OURS)) for each in objects])
    assert {each.action for each in found.values()} == {"create"}
    assert counts(found.values()) == {"create": 11}
    # In the order in which they would be applied.
    assert list(found)[-2:] == ["Service web", "Deployment web"]
    assert everything(connection, namespace) == before


def test_what_the_server_refuses_is_refused_in_its_words(connection: Connection, namespace: str) -> None:
    objects = [
        wanted("Service", "bad", namespace, spec={"selector": {"app": "web"}}),
        wanted("Cart", "mine", namespace, apiVersion="nowhere.example.com/v1"),
        wanted("ConfigMap", "good", namespace),
    ]
    found = planned(connection, objects)
    assert found["Service bad"].action == found["Cart mine"].action == "refused"
    assert "spec.ports: Required value" in found["Service bad"].reason
    assert "Install what defines it there." in found["Cart mine"].reason
    assert found["ConfigMap good"].action == "create"


@pytest.mark.parametrize(
    ("policy", "action", "said"),
    [
        (ConflictPolicy.REFUSE, "conflict", "rename or delete it there"),
        (ConflictPolicy.SKIP, "skip", "stays as it is"),
        (ConflictPolicy.TAKE_OVER, "update", "is taken over"),
    ],
)
def test_a_different_object_is_met_as_the_policy_says_and_the_difference_is_shown(
    connection: Connection, namespace: str, policy: ConflictPolicy, action: str, said: str
) -> None:
    theirs = workload("Deployment", "web", namespace, spec={"replicas": 3})
    theirs["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    connection.create("deployments.apps", theirs)
    ours = workload("Deployment", "web", namespace, spec={"replicas": 2})
    ours["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/shop:2"
    before = everything(connection, namespace)
    one = planned(connection, [transformed(ours, Options(OURS))], policy)["Deployment web"]
    assert one.action == action
    assert said in one.reason
    shown = {each.path: (each.before, each.after) for each in one.diff}
    assert shown == {
        "spec.replicas": (3, 2),
        "spec.template.spec.containers[name=main].image": (
            "registry.example.com/shop:1",
            "registry.example.com/shop:2",
        ),
    }
    assert everything(connection, namespace) == before


def test_the_same_in_other_words_is_unchanged(connection: Connection, namespace: str) -> None:
    theirs = workload("Deployment", "web", namespace)
    limits = theirs["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "500m"}}
    connection.create("deployments.apps", theirs)
    limits["limits"] = {"cpu": "500m"}
    ours = transformed(theirs, Options(OURS))
    assert planned(connection, [ours])["Deployment web"].action == "unchanged"


def test_a_secrets_values_are_in_no_difference(connection: Connection, namespace: str) -> None:
    connection.create("secrets", make("Secret", "password", namespace, data={"a": "VEhFSVJT", "b": "VEhFSVJT"}))
    ours = wanted("Secret", "password", namespace, data={"a": "T1VSUw==", "c": "T1VSUw=="})
    one = planned(connection, [ours], ConflictPolicy.TAKE_OVER)["Secret password"]
    assert {each.path: (each.before, each.after) for each in one.diff} == {
        "data.a": ("(hidden, 6 bytes)", "(hidden, 4 bytes)"),
        "data.c": (None, "(hidden, 4 bytes)"),
    }
    for text in ("VEhFSVJT", "THEIRS", "T1VSUw", "OURS"):
        assert text not in str(one)


def test_a_field_that_cannot_be_changed_is_named_and_nothing_is_made_anew(
    connection: Connection, namespace: str
) -> None:
    connection.create("deployments.apps", workload("Deployment", "web", namespace))
    ours = workload("Deployment", "web", namespace)
    ours["spec"]["selector"]["matchLabels"] = ours["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}
    wanted_one = transformed(ours, Options(OURS))
    taken = planned(connection, [wanted_one], ConflictPolicy.TAKE_OVER)["Deployment web"]
    assert taken.action == "refused"
    assert "field is immutable" in taken.reason
    assert "delete it there, then migrate again" in taken.reason
    assert planned(connection, [wanted_one])["Deployment web"].action == "conflict"
    assert planned(connection, [wanted_one], ConflictPolicy.SKIP)["Deployment web"].action == "skip"


def test_what_an_earlier_migration_brought_is_updated_unless_others_changed_the_same(
    connection: Connection, namespace: str
) -> None:
    earlier = [
        transformed(make("ConfigMap", name, namespace, data={"a": "1", "gone": "x"}), Options(EARLIER))
        for name in ("same", "newer", "edited")
    ]
    for each in earlier:
        connection.apply(each)
    edit(connection, "configmaps", "edited", namespace, {"data": {"a": "theirs"}})
    found = planned(
        connection,
        [
            wanted("ConfigMap", "same", namespace, data={"a": "1", "gone": "x"}),
            wanted("ConfigMap", "newer", namespace, data={"a": "2"}),
            wanted("ConfigMap", "edited", namespace, data={"a": "2", "gone": "x"}),
        ],
    )
    assert found["ConfigMap same"].action == "unchanged"
    assert found["ConfigMap newer"].action == "update"
    assert {each.path: (each.before, each.after) for each in found["ConfigMap newer"].diff} == {
        "data.a": ("1", "2"),
        "data.gone": ("x", None),
    }
    assert found["ConfigMap edited"].action == "conflict"
    assert '.data.a by "kubectl-edit"' in found["ConfigMap edited"].reason


def test_labels_and_annotations_of_what_an_earlier_migration_brought_are_updated_too(
    connection: Connection, namespace: str
) -> None:
    before = make("ConfigMap", "settings", namespace, data={"a": "1"})
    before["metadata"]["labels"] = {"tier": "web"}
    connection.apply(transformed(before, Options(EARLIER)))
    ours = wanted("ConfigMap", "settings", namespace, data={"a": "1"})
    ours["metadata"]["labels"]["tier"] = "front"
    found = planned(connection, [ours])["ConfigMap settings"]
    assert found.action == "update"
    assert [(each.path, each.before, each.after) for each in found.diff] == [("metadata.labels.tier", "web", "front")]


def test_labels_of_what_others_made_are_theirs(connection: Connection, namespace: str) -> None:
    connection.create("configmaps", make("ConfigMap", "settings", namespace, data={"a": "1"}))
    ours = wanted("ConfigMap", "settings", namespace, data={"a": "1"})
    ours["metadata"]["labels"]["tier"] = "front"
    assert planned(connection, [ours])["ConfigMap settings"].action == "unchanged"


def test_the_servers_warnings_are_told(connection: Connection, namespace: str) -> None:
    ours = wanted("ConfigMap", "settings", namespace, data={"a": "1"}, colour="red")
    found = planned(connection, [ours])["ConfigMap settings"]
    assert found.warnings[0] == 'unknown field "colour"'
    # And what comes of it.
    assert "makes it otherwise than it comes" in found.warnings[1]
    assert [(each.path, each.before, each.after) for each in found.diff] == [("colour", "red", None)]


def test_objects_of_a_namespace_that_is_not_there_are_checked_as_far_as_can_be(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    name = f"{namespace}-new"
    found = planned(connection, [wanted("ConfigMap", "settings", name), wanted("Secret", "password", name)])
    assert {each.action for each in found.values()} == {"create"}
    assert "made with its namespace" in found["ConfigMap settings"].reason
    assert "Checked against permissions" in found["ConfigMap settings"].reason
    with pytest.raises(NotFound):
        connection.get("namespaces", name)
    served.faults.fail("/namespaces$", method="POST", status=403)
    found = planned(connection, [wanted("ConfigMap", "settings", name), wanted("Secret", "password", name)])
    assert {each.action for each in found.values()} == {"refused"}
    assert f"The namespace {name} cannot be made" in found["ConfigMap settings"].reason


def test_custom_resources_are_checked_against_the_definition_that_goes_along(
    connection: Connection, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "carts", "singular": "cart", "kind": "Cart"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    found = planned(
        connection,
        [
            wanted("Cart", "mine", namespace, apiVersion=f"{group}/v1"),
            wanted("Cart", "old", namespace, apiVersion=f"{group}/v1beta1"),
            wanted("CustomResourceDefinition", f"carts.{group}", "", spec=spec),
        ],
    )
    assert found["Cart mine"].action == found[f"CustomResourceDefinition carts.{group}"].action == "create"
    assert f"after its definition carts.{group}" in found["Cart mine"].reason
    assert found["Cart old"].action == "refused"
    assert "serves v1 and not v1beta1" in found["Cart old"].reason


def test_a_server_that_cannot_answer_is_no_refusal(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    served.faults.fail(f"/namespaces/{namespace}/configmaps", method="PATCH", status=503, times=4, retry_after=0)
    with pytest.raises(Unavailable):
        planned(connection, [wanted("ConfigMap", "settings", namespace)])


def test_a_dry_run_ends_when_its_time_is_over(connection: Connection, namespace: str) -> None:
    found: list[Planned] = []
    objects = [wanted("ConfigMap", "settings", namespace)]
    assert not dry_run(
        connection,
        objects,
        migration_id=OURS,
        policy=ConflictPolicy.REFUSE,
        on_planned=found.append,
        stop_at=time.monotonic() - 1,
    )
    assert found == []
