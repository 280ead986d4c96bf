"""Owners have other uids on the destination; and objects that cannot be applied are created all the same."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.kube.connection import Connection
from migrations_app.resources.apply import Result, apply
from migrations_app.resources.dry_run import Planned, dry_run
from migrations_app.resources.owners import Owners
from migrations_app.resources.spec import ConflictPolicy
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make, workload

OURS = "m1"


def reference(kind: str, name: str, uid: str, api_version: str = "v1") -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def applied(connection: Connection, sources: list[Object], **options: Any) -> dict[str, Result]:
    pairs = [(each, transformed(each, Options(OURS))) for each in sources]
    results: list[Result] = []
    assert apply(
        connection,
        [wanted for _source, wanted in pairs],
        migration_id=OURS,
        on_result=results.append,
        owners=Owners(pairs),
        **options,
    )
    return {f"{each.kind} {each.name}": each for each in results}


def test_an_owned_object_has_its_owners_new_uid_and_comes_after_it(connection: Connection, namespace: str) -> None:
    # By kind the Secret would come long before the Deployment.
    owner = workload("Deployment", "web", namespace, spec={"replicas": 0})
    owner["metadata"]["uid"] = "uid-on-the-source"
    owned = make("Secret", "generated", namespace, data={"a": "MQ=="})
    owned["metadata"]["ownerReferences"] = [reference("Deployment", "web", "uid-on-the-source", "apps/v1")]
    found = applied(connection, [owned, owner])
    assert list(found) == ["Deployment web", "Secret generated"]
    there = connection.get("secrets", "generated", namespace)["metadata"]["ownerReferences"]
    uid = connection.get("deployments.apps", "web", namespace)["metadata"]["uid"]
    assert there == [reference("Deployment", "web", uid, "apps/v1")]
    # The owner was applied in an earlier attempt: its uid is asked for.
    connection.delete("secrets", "generated", namespace)
    pairs = [(each, transformed(each, Options(OURS))) for each in (owned, owner)]
    apply(connection, [pairs[0][1]], migration_id=OURS, on_result=lambda _result: None, owners=Owners(pairs))
    assert connection.get("secrets", "generated", namespace)["metadata"]["ownerReferences"] == there


def test_an_owner_that_stays_behind_is_left_out_and_told(connection: Connection, namespace: str) -> None:
    owned = make("Secret", "generated", namespace, data={"a": "MQ=="})
    owned["metadata"]["ownerReferences"] = [reference("ConfigMap", "absent", "uid-of-nobody")]
    found = applied(connection, [owned])["Secret generated"]
    assert found.action == "created"
    assert "without its owner ConfigMap absent, which does not go along" in found.reason
    assert "ownerReferences" not in connection.get("secrets", "generated", namespace)["metadata"]


def test_what_others_own_the_name_of_owns_nothing_of_ours(connection: Connection, namespace: str) -> None:
    connection.create("configmaps", make("ConfigMap", "owner", namespace, data={"a": "theirs"}))
    owner = make("ConfigMap", "owner", namespace, data={"a": "ours"}, metadata={"uid": "uid-on-the-source"})
    owned = make("ConfigMap", "owned", namespace)
    owned["metadata"]["ownerReferences"] = [reference("ConfigMap", "owner", "uid-on-the-source")]
    found = applied(connection, [owner, owned])
    assert found["ConfigMap owner"].action == "refused"
    assert "ownerReferences" not in connection.get("configmaps", "owned", namespace)["metadata"]


def test_a_variable_that_is_set_twice_is_carried_though_it_cannot_be_applied(
    connection: Connection, namespace: str
) -> None:
    source = workload("Deployment", "web", namespace, spec={"replicas": 0})
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    source["spec"]["template"]["spec"]["containers"][0]["env"] = env
    planned: list[Planned] = []
    dry_run(
        connection,
        [transformed(source, Options(OURS))],
        migration_id=OURS,
        policy=ConflictPolicy.REFUSE,
        on_planned=planned.append,
    )
    assert [each.action for each in planned] == ["create"]
    assert applied(connection, [source])["Deployment web"].action == "created"
    there = connection.get("deployments.apps", "web", namespace)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert there == env
    assert applied(connection, [source])["Deployment web"].action == "created"


def test_taking_over_takes_the_fields_from_who_holds_them(connection: Connection, namespace: str) -> None:
    path = connection.resource("configmaps").path(namespace, "settings")
    theirs = make("ConfigMap", "settings", namespace, data={"a": "theirs", "b": "theirs"})
    options = {"query": {"fieldManager": "argocd"}, "content_type": "application/apply-patch+yaml"}
    connection.json("PATCH", path, body=theirs, **options)
    seen: list[Object] = []
    found = applied(
        connection,
        [make("ConfigMap", "settings", namespace, data={"a": "ours"})],
        policy=ConflictPolicy.TAKE_OVER,
        before_changes=lambda changes: seen.extend(each.former for each in changes),
    )
    assert found["ConfigMap settings"].action == "updated"
    there = connection.get("configmaps", "settings", namespace)
    assert there["data"] == {"a": "ours", "b": "theirs"}
    held = {each["manager"]: each["fieldsV1"]["f:data"] for each in there["metadata"]["managedFields"]}
    assert held == {"kubemotion-web": {"f:a": {}}, "argocd": {"f:b": {}}}
    assert [each["data"] for each in seen] == [{"a": "theirs", "b": "theirs"}]


def test_nothing_is_changed_where_it_could_not_be_written_down(connection: Connection, namespace: str) -> None:
    connection.create("configmaps", make("ConfigMap", "settings", namespace, data={"a": "theirs"}))

    def lost(_changes: object) -> None:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="the lease is lost"):
        applied(
            connection,
            [make("ConfigMap", "settings", namespace, data={"a": "ours"})],
            policy=ConflictPolicy.TAKE_OVER,
            before_changes=lost,
        )
    assert connection.get("configmaps", "settings", namespace)["data"] == {"a": "theirs"}
