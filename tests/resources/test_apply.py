"""Objects onto a cluster: what is made, what is left alone, what is refused, and what an interruption leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.kube.errors import KubeError, NotFound, Unauthorized, Unavailable, Unreachable
from clusters.kube.objects import Applied
from demo.cluster.server import ClusterHandle
from migrations_app.resources.apply import Result, apply, conflicts
from migrations_app.resources.marks import MIGRATION_LABEL
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make, workload
from tests.resources.waiting import until

OURS = "m1"


def apply_one(connection: Connection, obj: Object, migration_id: str, **options: Any) -> Result:
    """One object. Raises KubeError only where the destination is out of reach or does not know us any more."""
    results: list[Result] = []
    apply(connection, [obj], migration_id=migration_id, on_result=results.append, workers=1, **options)
    return results[0]


def wanted(kind: str, name: str, namespace: str, **fields: Any) -> Object:
    return transformed(make(kind, name, namespace, **fields), Options(OURS, source="dev"))


def applied(connection: Connection, objects: list[Object], **options: Any) -> dict[str, Result]:
    """What became of each, by kind and name; each object has one result."""
    results: list[Result] = []
    assert apply(connection, objects, migration_id=OURS, on_result=results.append, **options)
    found = {f"{each.kind} {each.name}": each for each in results}
    assert len(found) == len(results) == len(objects)
    return found


def verdicts(results: dict[str, Result]) -> set[tuple[str, str]]:
    return {(each.status, each.action) for each in results.values()}


def application(namespace: str) -> list[Object]:
    kinds = (
        make("ConfigMap", "settings", namespace, data={"a": "1"}),
        make("Secret", "password", namespace, type="Opaque", data={"a": "MQ=="}),
        make("ServiceAccount", "web", namespace),
        make("Role", "reader", namespace, rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]),
        make("Service", "web", namespace, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        workload("Deployment", "web", namespace, spec={"replicas": 0}),
        workload("CronJob", "backup", namespace, spec={"suspend": True}),
    )
    kinds[-1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    return [transformed(each, Options(OURS, source="dev")) for each in kinds]


class Broken(Connection):
    """Loses the connection when the server has made what it was asked to make."""

    broken = 0

    def apply_told(self, obj: Object, *, dry_run: bool = False, **options: Any) -> Applied:
        made = super().apply_told(obj, dry_run=dry_run, **options)
        if self.broken > 0:
            self.broken -= 1
            raise Unreachable("The connection broke.")
        return made


class Racing(Connection):
    """Somebody makes an object of the same name, or adds a pull secret, between our look and our write."""

    other: Object | None = None
    added: Object | None = None

    def patch(self, resource: Resource | str, name: str, namespace: str | None, body: Any, **options: Any) -> Object:
        if self.added is not None:
            added, self.added = self.added, None
            present = self.get(resource, name, namespace)["imagePullSecrets"]
            super().patch(resource, name, namespace, {"imagePullSecrets": [*present, added]})
        return super().patch(resource, name, namespace, body, **options)

    def apply_told(self, obj: Object, *, dry_run: bool = False, **options: Any) -> Applied:
        if self.other is not None:
            other, self.other = self.other, None
            super().create(self.resource_of(other), other)
        return super().apply_told(obj, dry_run=dry_run, **options)


class Slow(Connection):
    """A server that takes its time until it serves what a new definition defines."""

    asked = 0

    def get(self, resource: Resource | str, name: str, namespace: str | None = None) -> Object:
        found = super().get(resource, name, namespace)
        if found["kind"] == "CustomResourceDefinition":
            self.asked += 1
            if self.asked < 3:
                found["status"] = {"conditions": [{"type": "Established", "status": "False"}]}
        return found

    def apply_told(self, obj: Object, *, dry_run: bool = False, **options: Any) -> Applied:
        if obj["kind"] == "Cart" and self.asked < 3:
            raise NotFound("the server could not find the requested resource")
        return super().apply_told(obj, dry_run=dry_run, **options)


@pytest.fixture
def slow(served: ClusterHandle) -> Iterator[Slow]:
    with Slow(kubeconfig.parse(yaml.safe_dump(served.kubeconfig))) as connection:
        yield connection


@pytest.fixture
def broken(served: ClusterHandle) -> Iterator[Broken]:
    with Broken(kubeconfig.parse(yaml.safe_dump(served.kubeconfig))) as connection:
        yield connection


@pytest.fixture
def racing(served: ClusterHandle) -> Iterator[Racing]:
    with Racing(kubeconfig.parse(yaml.safe_dump(served.kubeconfig))) as connection:
        yield connection


def test_an_application_is_made(connection: Connection, namespace: str) -> None:
    objects = application(namespace)
    results = applied(connection, objects)
    assert verdicts(results) == {("Successful", "created")}
    for obj in objects:
        found = connection.get(connection.resource_of(obj), obj["metadata"]["name"], namespace)
        assert found["metadata"]["labels"][MIGRATION_LABEL] == OURS
        assert results[f"{obj['kind']} {obj['metadata']['name']}"].uid == found["metadata"]["uid"]
    assert connection.get("configmaps", "settings", namespace)["data"] == {"a": "1"}
    one = results["Deployment web"]
    assert (one.group, one.version, one.namespace) == ("apps", "v1", namespace)
    assert results["ConfigMap settings"].group == ""


def test_a_second_time_changes_nothing_and_is_the_same_success(connection: Connection, namespace: str) -> None:
    objects = application(namespace)
    first = applied(connection, objects)
    # Once it is there it lives its own life, which a repetition must not undo.
    connection.patch("deployments.apps", "web", namespace, {"spec": {"replicas": 2}})
    before = _versions(connection, [each for each in objects if each["kind"] != "Deployment"])
    assert applied(connection, objects) == first
    assert _versions(connection, [each for each in objects if each["kind"] != "Deployment"]) == before
    assert connection.get("deployments.apps", "web", namespace)["spec"]["replicas"] == 2


def _versions(connection: Connection, objects: list[Object]) -> list[str]:
    return [
        connection.get(connection.resource_of(obj), obj["metadata"]["name"], obj["metadata"].get("namespace"))[
            "metadata"
        ]["resourceVersion"]
        for obj in objects
    ]


def test_a_different_object_of_the_same_name_is_refused_and_left_as_it_is(
    connection: Connection, namespace: str
) -> None:
    theirs = connection.create("configmaps", make("ConfigMap", "settings", namespace, data={"a": "2", "b": "3"}))
    ours = wanted("ConfigMap", "settings", namespace, data={"a": "1"})
    result = applied(connection, [ours])["ConfigMap settings"]
    assert (result.status, result.action, result.uid) == ("Failed", "refused", "")
    assert "different object of this name" in result.reason
    assert "data.a" in result.reason
    assert "rename or delete it there" in result.reason
    assert connection.get("configmaps", "settings", namespace) == theirs


def test_an_object_of_another_migration_is_somebody_elses(connection: Connection, namespace: str) -> None:
    other = transformed(make("ConfigMap", "settings", namespace, data={"a": "2"}), Options("m0", source="dev"))
    connection.create("configmaps", other)
    assert verdicts(applied(connection, [wanted("ConfigMap", "settings", namespace, data={"a": "1"})])) == {
        ("Failed", "refused")
    }
    assert connection.get("configmaps", "settings", namespace)["data"] == {"a": "2"}


def test_a_reason_names_five_fields_and_counts_the_rest(connection: Connection, namespace: str) -> None:
    data = {f"k{number}": "1" for number in range(8)}
    connection.create("configmaps", make("ConfigMap", "settings", namespace, data=data))
    ours = wanted("ConfigMap", "settings", namespace, data=dict.fromkeys(data, "2"))
    reason = applied(connection, [ours])["ConfigMap settings"].reason
    assert "data.k4 and 3 more" in reason
    assert "data.k5" not in reason


def test_no_value_of_a_secret_is_in_a_reason(connection: Connection, namespace: str) -> None:
    connection.create("secrets", make("Secret", "password", namespace, data={"a": "VEhFSVJT"}))
    reason = applied(connection, [wanted("Secret", "password", namespace, data={"a": "T1VSUw=="})])[
        "Secret password"
    ].reason
    assert "data.a" in reason
    assert "VEhFSVJT" not in reason
    assert "T1VSUw" not in reason


def test_the_same_object_of_somebody_else_is_left_as_it_is(connection: Connection, namespace: str) -> None:
    plain = [{k: v for k, v in each.items() if k != "metadata"} for each in application(namespace)]
    for obj, content in zip(application(namespace), plain, strict=True):
        metadata = {"name": obj["metadata"]["name"], "namespace": namespace}
        connection.create(connection.resource_of(obj), {**content, "metadata": metadata})
    objects = application(namespace)
    before = _versions(connection, [each for each in objects if each["kind"] != "Deployment"])
    results = applied(connection, objects)
    assert verdicts(results) == {("Successful", "unchanged")}
    assert _versions(connection, [each for each in objects if each["kind"] != "Deployment"]) == before
    found = connection.get("configmaps", "settings", namespace)["metadata"]
    assert results["ConfigMap settings"].uid == found["uid"]
    assert "labels" not in found


def test_an_object_that_is_being_deleted_is_refused(connection: Connection, namespace: str) -> None:
    kept = make("ConfigMap", "settings", namespace, metadata={"finalizers": ["example.com/keep"]}, data={"a": "1"})
    connection.create("configmaps", kept)
    connection.delete("configmaps", "settings", namespace)
    result = applied(connection, [wanted("ConfigMap", "settings", namespace, data={"a": "1"})])["ConfigMap settings"]
    assert (result.status, result.action) == ("Failed", "refused")
    assert "being deleted" in result.reason
    connection.patch("configmaps", "settings", namespace, {"metadata": {"finalizers": None}})


def test_what_the_server_finds_invalid_fails_with_its_words_and_the_rest_goes_on(
    connection: Connection, namespace: str
) -> None:
    bad = wanted("Service", "bad", namespace, spec={"selector": {"app": "web"}})
    results = applied(connection, [bad, wanted("ConfigMap", "settings", namespace)])
    assert results["ConfigMap settings"].status == "Successful"
    assert (results["Service bad"].status, results["Service bad"].action) == ("Failed", "refused")
    assert "spec.ports: Required value" in results["Service bad"].reason


def test_what_may_not_be_made_fails_with_the_servers_words(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    served.faults.fail(f"/namespaces/{namespace}/secrets/", method="PATCH", status=403)
    results = applied(connection, [wanted("Secret", "password", namespace), wanted("ConfigMap", "settings", namespace)])
    assert results["ConfigMap settings"].action == "created"
    assert results["Secret password"].status == "Failed"
    assert (
        results["Secret password"].reason == f"Not allowed to apply secrets {namespace}/password: a fault was injected"
    )


def test_a_namespace_that_is_not_there_fails_with_the_servers_words(connection: Connection, namespace: str) -> None:
    result = applied(connection, [wanted("ConfigMap", "settings", f"{namespace}-gone")])["ConfigMap settings"]
    assert result.status == "Failed"
    assert f'namespaces "{namespace}-gone" not found' in result.reason


def test_a_kind_that_is_not_served_fails_and_says_what_to_do(connection: Connection, namespace: str) -> None:
    cart = wanted("Cart", "mine", namespace, apiVersion="nowhere.example.com/v1")
    result = applied(connection, [cart])["Cart mine"]
    assert (result.status, result.action) == ("Failed", "refused")
    assert result.reason == (
        "The destination does not serve Cart of nowhere.example.com/v1. Install what defines it there."
    )


def test_custom_resources_follow_their_definition(slow: Slow, namespace: str) -> None:
    group = f"{namespace}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "carts", "singular": "cart", "kind": "Cart"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    carts = [
        wanted("Cart", f"cart-{number}", namespace, apiVersion=f"{group}/v1", spec={"n": number}) for number in (1, 2)
    ]
    definition = wanted("CustomResourceDefinition", f"carts.{group}", "", spec=spec)
    results = applied(slow, [*carts, definition])
    assert verdicts(results) == {("Successful", "created")}
    assert slow.get(f"carts.{group}", "cart-2", namespace)["spec"] == {"n": 2}
    assert verdicts(applied(slow, [*carts, definition])) == {("Successful", "created")}


def test_a_definition_that_serves_the_same_is_kept_and_one_that_does_not_is_refused(
    connection: Connection, namespace: str
) -> None:
    group = f"{namespace}.example.com"

    def definition(*versions: str, scope: str = "Namespaced", note: str = "") -> Object:
        schema = {"type": "object", "description": note, "x-kubernetes-preserve-unknown-fields": True}
        spec = {
            "group": group,
            "scope": scope,
            "names": {"plural": "carts", "singular": "cart", "kind": "Cart"},
            "versions": [
                {"name": each, "served": True, "storage": each == versions[0], "schema": {"openAPIV3Schema": schema}}
                for each in versions
            ],
        }
        return make("CustomResourceDefinition", f"carts.{group}", spec=spec)

    def result(obj: Object) -> Result:
        ours = transformed(obj, Options(OURS))
        found = apply_one(connection, ours, OURS)
        assert bool(conflicts(connection, [ours], OURS)) == (found.status == "Failed")
        return found

    theirs = connection.create(connection.resource_of(definition("v1")), definition("v2", "v1", note="newer"))
    kept = result(definition("v1", note="older"))
    assert (kept.status, kept.action, kept.uid) == ("Successful", "unchanged", theirs["metadata"]["uid"])
    assert "definition of its own" in kept.reason
    for other in (definition("v1", "v1beta1"), definition("v1", scope="Cluster")):
        assert (result(other).status, result(other).action) == ("Failed", "refused")
    found = connection.get(connection.resource_of(theirs), theirs["metadata"]["name"])
    assert found["spec"] == theirs["spec"]


# -- interruptions


@pytest.mark.parametrize("times", [1, 3, 7])
def test_an_answer_that_got_lost_is_made_up_for_by_repeating(broken: Broken, namespace: str, times: int) -> None:
    objects = application(namespace)
    broken.broken = times
    seen: list[Result] = []
    for _attempt in range(times + 1):
        try:
            assert apply(broken, objects, migration_id=OURS, on_result=seen.append, workers=1)
            break
        except Unreachable:
            continue
    assert broken.broken == 0
    assert verdicts(applied(broken, objects)) == {("Successful", "created")}
    assert {(each.status, each.action) for each in seen} == {("Successful", "created")}
    for obj in objects:
        marked = broken.list(broken.resource_of(obj), namespace, label_selector=f"{MIGRATION_LABEL}={OURS}")
        assert [each["metadata"]["name"] for each in marked if not each["metadata"].get("ownerReferences")] == [
            obj["metadata"]["name"]
        ]


@pytest.mark.parametrize("failing", ["GET", "PATCH"])
def test_a_server_that_cannot_answer_is_no_refusal(
    served: ClusterHandle, connection: Connection, namespace: str, failing: str
) -> None:
    served.faults.fail(f"/namespaces/{namespace}/configmaps", method=failing, status=503, times=4, retry_after=0)
    seen: list[Result] = []
    settings = wanted("ConfigMap", "settings", namespace, data={"a": "1"})
    with pytest.raises(Unavailable):
        apply(connection, [settings], migration_id=OURS, on_result=seen.append)
    assert seen == []
    served.faults.clear()
    assert verdicts(applied(connection, [settings])) == {("Successful", "created")}


def test_credentials_that_ran_out_are_no_refusal(served: ClusterHandle, connection: Connection, namespace: str) -> None:
    """The migration waits for new ones; a verdict about each object would be final."""
    served.faults.fail(f"/namespaces/{namespace}/configmaps", status=401)
    settings = wanted("ConfigMap", "settings", namespace, data={"a": "1"})
    with pytest.raises(Unauthorized):
        apply_one(connection, settings, OURS)
    assert apply_one(connection, settings, OURS).action == "created"


def test_who_makes_the_same_object_in_between_is_met_like_anybody(racing: Racing, namespace: str) -> None:
    racing.other = make("ConfigMap", "settings", namespace, data={"a": "1"})
    assert apply_one(racing, wanted("ConfigMap", "settings", namespace, data={"a": "1"}), OURS).action == "unchanged"
    racing.other = make("ConfigMap", "colours", namespace, data={"a": "2"})
    result = apply_one(racing, wanted("ConfigMap", "colours", namespace, data={"a": "1"}), OURS)
    assert (result.status, result.action) == ("Failed", "refused")
    assert racing.get("configmaps", "colours", namespace)["data"] == {"a": "2"}


def test_a_slice_ends_when_its_time_is_over_and_the_next_goes_on(connection: Connection, namespace: str) -> None:
    objects = [wanted("ConfigMap", f"c{number}", namespace) for number in range(9)]
    seen: list[Result] = []
    over = time.monotonic() - 1
    assert not apply(connection, objects, migration_id=OURS, on_result=seen.append, stop_at=over)
    assert seen == []
    later = time.monotonic() + 60
    assert apply(connection, objects, migration_id=OURS, on_result=seen.append, stop_at=later)
    assert len(seen) == 9


def test_results_are_told_in_the_callers_thread_and_in_order(connection: Connection, namespace: str) -> None:
    told: list[tuple[str, int]] = []
    objects = [
        wanted(kind, f"{kind.lower()}-{number}", namespace) for number in range(5) for kind in ("ConfigMap", "Secret")
    ]
    apply(
        connection,
        objects,
        migration_id=OURS,
        on_result=lambda result: told.append((f"{result.kind}", threading.get_ident())),
    )
    assert [kind for kind, _thread in told] == ["Secret"] * 5 + ["ConfigMap"] * 5
    assert {thread for _kind, thread in told} == {threading.get_ident()}


# -- accounts that every namespace has


def _default_account(connection: Connection, namespace: str) -> Object:
    """The account when controllers have given it what it gets on OpenShift."""

    def found() -> Object | None:
        try:
            account = connection.get("serviceaccounts", "default", namespace)
        except NotFound:
            return None
        return account if account.get("imagePullSecrets") else None

    account = until(found)
    assert account is not None
    return account


def test_the_default_account_gets_the_pull_secrets_that_it_lacks(connection: Connection, namespace: str) -> None:
    before = _default_account(connection, namespace)
    ours = wanted("ServiceAccount", "default", namespace, imagePullSecrets=[{"name": "registry"}])
    assert conflicts(connection, [ours], "planned") == []
    result = applied(connection, [ours])["ServiceAccount default"]
    assert (result.status, result.action, result.uid) == ("Successful", "updated", before["metadata"]["uid"])
    found = _default_account(connection, namespace)
    assert found["imagePullSecrets"] == [*before["imagePullSecrets"], {"name": "registry"}]
    assert found["secrets"] == before["secrets"]
    assert applied(connection, [ours])["ServiceAccount default"].action == "unchanged"
    assert _default_account(connection, namespace) == found


def test_pull_secrets_that_a_controller_adds_in_between_are_kept(racing: Racing, namespace: str) -> None:
    before = _default_account(racing, namespace)
    racing.added = {"name": "theirs"}
    ours = wanted("ServiceAccount", "default", namespace, imagePullSecrets=[{"name": "registry"}])
    assert apply_one(racing, ours, OURS).action == "updated"
    found = _default_account(racing, namespace)
    assert found["imagePullSecrets"] == [*before["imagePullSecrets"], {"name": "theirs"}, {"name": "registry"}]


def test_the_default_account_is_refused_where_more_differs(connection: Connection, namespace: str) -> None:
    before = _default_account(connection, namespace)
    ours = wanted(
        "ServiceAccount",
        "default",
        namespace,
        imagePullSecrets=[{"name": "registry"}],
        automountServiceAccountToken=True,
    )
    assert applied(connection, [ours])["ServiceAccount default"].action == "refused"
    assert _default_account(connection, namespace) == before


def test_any_other_account_is_refused_like_everything_else(connection: Connection, namespace: str) -> None:
    connection.create("serviceaccounts", make("ServiceAccount", "web", namespace))
    ours = wanted("ServiceAccount", "web", namespace, imagePullSecrets=[{"name": "registry"}])
    assert applied(connection, [ours])["ServiceAccount web"].action == "refused"
    assert [each.name for each in conflicts(connection, [ours], "planned")] == ["web"]


# -- looking ahead


def test_conflicts_are_what_applying_would_refuse_and_nothing_is_written(
    connection: Connection, namespace: str
) -> None:
    same, other, mine = (make("ConfigMap", name, namespace, data={"a": "1"}) for name in ("same", "other", "mine"))
    connection.create("configmaps", same)
    connection.create("configmaps", {**other, "data": {"a": "2"}})
    connection.create("configmaps", transformed({**mine, "data": {"a": "2"}}, Options(OURS)))
    absent = make("ConfigMap", "absent", namespace)
    foreign = make("Cart", "cart", namespace, apiVersion="nowhere.example.com/v1")
    objects = [transformed(each, Options(OURS)) for each in (same, other, mine, absent, foreign)]
    found = conflicts(connection, objects, OURS)
    assert [(each.name, each.status, each.action) for each in found] == [("other", "Failed", "refused")]
    with pytest.raises(KubeError):
        connection.get("configmaps", "absent", namespace)
    assert connection.get("configmaps", "other", namespace)["data"] == {"a": "2"}
