"""The role that preflight offers is enough for the whole migration, and each of its rules is missed where it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from django.utils import translation

from demo.cluster import rbac
from migrations_app import services
from migrations_app.models import Status
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification
from tests.engine.conftest import CLAIMS, Estate, told
from tests.resources.objects import make

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ROBOT = "system:serviceaccount:default:robot"
OPTIONS = {"volume_snapshots": "whenever-possible", "conflict_policy": "take-over", "purge_deleted_resources": True}


@dataclass
class Robots:
    """An account on either cluster that may do what its roles say, and no more; the pair uses them."""

    estate: Estate
    refused: list[str]
    made: list[tuple[str, Object]] = field(default_factory=list)

    def checks(self) -> list[Object]:
        with translation.override("en"):
            return services.plan(self.estate.pair, ["cms"], **OPTIONS).checks

    def commands(self) -> dict[str, str]:
        """What is offered to copy, by cluster."""
        found = {}
        for each in self.checks():
            if each["code"] == "permissions" and each["command"]:
                found["dev" if "--context dev " in each["command"] else "prod"] = each["command"]
        return found

    def grant(self, cluster: str, command: str) -> None:
        """What an administrator does with the command."""
        for obj in yaml.safe_load_all(command.partition("<<'EOF'\n")[2].removesuffix("EOF")):
            self.estate.on(cluster).apply(obj)
            self.made.append((cluster, obj))


@pytest.fixture
def robots(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Robots]:
    refused: list[str] = []
    told_by = rbac.refusal

    def refusal(user: Any, wanted: rbac.Attributes) -> str:
        if user.name == ROBOT:
            refused.append(f"{wanted.verb} {wanted.resource}.{wanted.group} {wanted.namespace}")
        return told_by(user, wanted)

    monkeypatch.setattr(rbac, "refusal", refusal)
    for name, row in (("dev", estate.pair.source), ("prod", estate.pair.destination)):
        handle = {"dev": estate.dev, "prod": estate.prod}[name]
        estate.on(name).apply(make("ServiceAccount", "robot", "default"))
        token = handle.call(lambda api: api.service_account_token("default", "robot"))
        config = yaml.safe_load(yaml.safe_dump(handle.kubeconfig))
        config["users"][0]["user"] = {"token": token}
        estate.change(row, kubeconfig=yaml.safe_dump(config))
    found = Robots(estate, refused)
    yield found
    for name, obj in found.made:
        if not obj["metadata"].get("namespace") and obj["kind"] != "Namespace":
            connection = estate.on(name)
            connection.delete(connection.resource_of(obj), obj["metadata"]["name"])


def granted_all(robots: Robots) -> None:
    """What each look offers, applied, until it offers nothing new: first the source's, then what comes from there."""
    before: dict[str, str] = {}
    while (commands := robots.commands()) != before:
        for cluster, command in commands.items():
            robots.grant(cluster, command)
        before = commands


def test_the_role_lets_everything_be_done_and_taken_back(robots: Robots) -> None:
    estate = robots.estate
    estate.on("dev").apply(make("ConfigMap", "extra", "cms", data={"a": "b"}))
    granted_all(robots)
    wrong = [each for each in robots.checks() if each["status"] == "failure" or "may not" in each["message"]]
    assert wrong == []
    robots.refused.clear()
    first = estate.drive(estate.start(**OPTIONS))
    assert first.status == Status.SUCCESSFUL, told(first)
    assert first.volumes.get(claim="px-mysql-pvc").snapshot_class == "csi-aws-vsc"
    assert estate.leftovers() == []

    # The next one purges, and changes what is there.
    estate.on("dev").delete("configmaps", "extra", "cms")
    granted_all(robots)
    estate.on("prod").patch("configmaps", "mysql-config", "cms", {"data": {"added": "there"}})
    second = estate.drive(estate.start(name="again", include_volumes=False, **OPTIONS))
    assert second.status == Status.SUCCESSFUL, told(second)
    assert "extra" not in estate.objects("prod", "configmaps")
    services.roll_back(second, by=estate.by)
    second = estate.drive(second, until=lambda migration: not migration.is_rolling_back)
    assert not second.reason or "stay" not in second.reason, told(second)
    assert estate.objects("prod", "configmaps")["extra"]["data"] == {"a": "b"}

    verifications.verify(first, by=estate.by)
    estate.drive(first, until=lambda migration: not migration.is_verifying)
    verdicts = {row.volume.claim: row.status for row in VolumeVerification.objects.select_related("volume")}
    # The applications run on both sides, and write.
    assert verdicts.keys() == set(CLAIMS)
    assert not set(verdicts.values()) - {Verdict.SAME, Verdict.DIFFERENT}
    services.roll_back(first, by=estate.by)
    first = estate.drive(first, until=lambda migration: not migration.is_rolling_back)
    for resource in ("persistentvolumeclaims", "deployments.apps", "services", "routes.route.openshift.io"):
        assert estate.objects("prod", resource) == {}, told(first)
    assert estate.leftovers() == []
    # What looks for marks asks for every kind there is; and of disks their claims tell as well.
    assert {each for each in robots.refused if not each.startswith("list ")} <= {"get persistentvolumes. "}


def test_without_any_one_of_its_rules_the_preflight_says_what_is_lacking(robots: Robots) -> None:
    granted_all(robots)
    baseline = {each["message"] for each in robots.checks()}
    roles = [(cluster, obj) for cluster, obj in robots.made if obj["kind"] in ("Role", "ClusterRole")]
    latest = {(cluster, obj["kind"]): obj for cluster, obj in roles}
    assert len(latest) == 4
    silent = []
    for (cluster, kind), role in latest.items():
        connection = robots.estate.on(cluster)
        for rule in role["rules"]:
            connection.apply({**role, "rules": [each for each in role["rules"] if each != rule]})
            new = [each for each in robots.checks() if each["message"] not in baseline and each["status"] != "pass"]
            words = "\n".join(f"{each['message']} {each['command']}" for each in new).lower()
            if not any(plural in words for plural in rule["resources"]):
                silent.append(f"{cluster} {kind} {rule}: {new}")
        connection.apply(role)
    assert silent == []


def test_who_may_do_nothing_is_told_what_to_grant(robots: Robots) -> None:
    (failure,) = [each for each in robots.checks() if each["status"] == "failure" and "dev" in each["command"]][:1]
    assert "may not get namespaces" in failure["message"]
    assert "kind: Role" in failure["command"]


def test_a_namespace_that_cannot_be_seen_into_stays(robots: Robots) -> None:
    """Its account may make and delete namespaces, and not list all that others may have put there."""
    estate = robots.estate
    everywhere = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    rules = [{**everywhere, "apiGroups": ["", "batch", "snapshot.storage.k8s.io"]}]
    for cluster, granted in (("dev", [everywhere]), ("prod", rules)):
        role = make("ClusterRole", "robot", rules=granted)
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "robot"}
        subjects = [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]
        for obj in (role, make("ClusterRoleBinding", "robot", roleRef=reference, subjects=subjects)):
            obj["metadata"].pop("namespace", None)
            estate.on(cluster).apply(obj)
            robots.made.append((cluster, obj))
    migration = estate.drive(estate.start(include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    estate.on("prod").apply(make("Route", "theirs", "cms", spec={"to": {"kind": "Service", "name": "x"}}))
    (foreseen,) = [each for each in services.foresee_roll_back(migration) if each.kind == "Namespace"]
    assert (foreseen.action, "may not be listed" in foreseen.reason) == ("stay", True)
    services.roll_back(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda migration: not migration.is_rolling_back)
    assert estate.objects("prod", "persistentvolumeclaims") == {}
    assert "theirs" in estate.objects("prod", "routes.route.openshift.io")
    assert any("may not be listed" in each.message for each in migration.events.all()), told(migration)
