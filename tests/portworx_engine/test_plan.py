"""What the plan says before Stork is asked, and what a migration that cannot be ends with."""

from __future__ import annotations

import pytest

from clusters.portworx.pods import Portworx
from demo.portworx import pxctl
from migrations_app import services
from migrations_app.engines import Plan
from migrations_app.models import Status
from teams.refusals import Refusal
from tests.engine.conftest import Estate, told
from tests.portworx_engine import nine
from tests.portworx_estate import hand


def planned(px: Estate, **choices: object) -> Plan:
    return services.plan(px.pair, ["cms"], **choices)


def failures(plan: Plan) -> list[str]:
    return [each["message"] for each in plan.checks if each["status"] == "failure"]


def test_the_plan_names_what_stork_will_take(px: Estate) -> None:
    plan = planned(px)
    assert failures(plan) == []
    assert [each["name"] for each in plan.claims] == list(nine.CLAIMS)
    assert plan.objects == {
        "Deployment": 2,
        "PersistentVolume": 2,
        "PersistentVolumeClaim": 2,
        "Route": 1,
        "Service": 2,
    }
    warned = [each["code"] for each in plan.checks if each["status"] == "warning"]
    assert warned == ["stork-hosts"]
    assert {"portworx-licence", "portworx-volumes"} <= {each["code"] for each in plan.checks}
    volumes = {each["name"]: each["portworx"] for each in plan.claims}
    assert {name: each["shared"] for name, each in volumes.items()} == {"px-mysql-pvc": False, "px-wp-pvc": True}
    for each in volumes.values():
        assert 0 < each["used"] < each["size"] == 2**30
        assert (each["status"], each["problem"]) == ("up", "")


def test_a_licence_that_does_not_allow_migrations_blocks(px: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pxctl.LICENCE, "Cluster-level migration [Kube-motion/Data Migration]", "no")
    (said,) = failures(planned(px))
    assert said.startswith("The licence of Portworx does not allow migrations on the source cluster dev")
    assert "destination cluster prod" in said
    # Without volumes only Stork works.
    assert failures(planned(px, include_volumes=False)) == []


def test_a_portworx_that_tells_nothing_is_said_and_blocks_nothing(px: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Portworx, "pxctl", lambda *_words, **_options: "<html>502 Bad Gateway</html>")
    plan = planned(px)
    assert failures(plan) == []
    warned = {each["code"]: each for each in plan.checks if each["status"] == "warning"}
    assert "cannot be understood" in warned["portworx-volumes"]["message"]
    assert "does not speak of migrations" in warned["portworx-licence"]["message"]
    assert [each["portworx"] for each in plan.claims] == [None, None]


def test_a_pair_that_is_not_ready_blocks(px: Estate) -> None:
    px.change(px.pair.portworx, object_name="other")
    (said,) = failures(planned(px))
    assert said == "There is no ClusterPair other in namespace kube-system."
    migration = px.drive(px.start())
    assert migration.status == Status.FAILED, told(migration)
    assert "There is no ClusterPair other" in migration.reason
    assert not list(px.on("dev").list("migrations.stork.libopenstorage.org", "kube-system"))


def test_a_missing_rule_blocks(px: Estate) -> None:
    (said,) = failures(planned(px, stork_options={"preExecRule": "quiesce", "transformSpecs": ["t1"]}))
    assert "There is no Rule quiesce in namespace kube-system (preExecRule)." in said
    assert "There is no ResourceTransformation t1 in namespace cms." in said


def test_a_name_that_a_foreign_migration_has_blocks(px: Estate) -> None:
    hand.create(
        px.dev,
        "migrations",
        hand.migration_document("cmsmigration", "kube-system", clusterPair="nosuch", namespaces=["cms"]),
    )
    migration = px.drive(px.start())
    assert migration.status == Status.FAILED
    assert "already has a Migration kube-system/cmsmigration" in migration.reason


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"namespace_mapping": {"cms": "cms2"}}, "namespace_mapping"),
        ({"image_mapping": {"a.example.com": "b.example.com"}}, "image_mapping"),
        ({"conflict_policy": "skip"}, "conflict_policy"),
        ({"selection": {"include_kinds": ["secrets"]}}, "include_kinds"),
        ({"selection": {"label_selector": "app in (a, b)"}}, "selection"),
        ({"stork_options": {"preExecRules": "x"}}, "stork_options"),
        ({"stork_options": {"transformSpecs": ["a", "b"]}}, "stork_options"),
        ({"stork_options": {"skipServiceUpdate": "yes"}}, "stork_options"),
    ],
)
def test_what_stork_cannot_do_is_refused_with_a_reason(px: Estate, choices: dict[str, object], field: str) -> None:
    for ask in (planned, lambda px, **given: px.start(**given)):
        with pytest.raises(Refusal) as refusal:
            ask(px, **choices)
        assert field in refusal.value.errors


def test_options_of_stork_are_refused_for_the_native_engine(px: Estate) -> None:
    px.change(px.pair, engine="native")
    with pytest.raises(Refusal) as refusal:
        px.start(stork_options={"skipServiceUpdate": True})
    assert "stork_options" in refusal.value.errors


def test_everything_that_is_asked_for_reaches_stork(px: Estate) -> None:
    migration = px.start(
        include_volumes=False,
        start_applications=False,
        purge_deleted_resources=True,
        selection={
            "label_selector": "app.kubernetes.io/part-of=cms",
            "exclude_selectors": ["app=cache"],
            "exclude_kinds": ["services"],
        },
        stork_options={"skipServiceUpdate": True, "includeOptionalResourceTypes": ["Job"]},
    )
    migration = px.drive(migration)
    spec = hand.get(px.dev, "migrations", "kube-system", "cmsmigration")["spec"]
    assert spec["includeVolumes"] is False
    assert spec["purgeDeletedResources"] is True
    assert spec["selectors"] == {"app.kubernetes.io/part-of": "cms"}
    assert spec["excludeSelectors"] == {"app": "cache"}
    assert spec["excludeResourceTypes"] == ["Service"]
    assert spec["skipServiceUpdate"] is True
    assert spec["includeOptionalResourceTypes"] == ["Job"]
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert {row.kind for row in migration.resources.all()} >= {"Deployment", "Route"}
    assert not migration.resources.filter(kind="Service").exists()
    assert "Volumes" not in migration.stage_times
