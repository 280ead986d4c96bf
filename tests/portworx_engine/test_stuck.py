"""What Stork leaves blank is said in plain words, with cause and remedy; and it does not wait for ever."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.test import override_settings

from clusters.portworx import complaints
from migrations_app.models import Migration, Stage, Status
from tests.engine.conftest import Estate, told
from tests.portworx_engine import nine
from tests.portworx_estate import hand, replaying

MIGRATIONS = "migrations.stork.libopenstorage.org"
# Message as recorded, or as Stork's source has it; what we say of it, in part.
SAID = (
    (
        "Error migrating volumes: cluster pair storage status is not ready. Status:  Err: error getting clusterpair "
        'nosuch (cms): clusterpairs.stork.libopenstorage.org "nosuch" not found',
        "There is no ClusterPair nosuch in namespace cms of the source cluster.",
    ),
    (
        "no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'",
        "None of the namespaces",
    ),
    ("migration namespaces should only contain the current namespace", "its own namespace only"),
    (
        'Error getting PreExecRule norule: rules.stork.libopenstorage.org "norule" not found',
        "There is no Rule norule",
    ),
    (
        "providing multiple transformation specs is not supported in this release [a b], err: <nil>",
        "Stork takes one ResourceTransformation",
    ),
    (
        'resourcetransformations.stork.libopenstorage.org "nosuch" not found',
        "There is no ResourceTransformation nosuch",
    ),
    (
        "Error migrating volumes: cluster pair storage status is not ready. Status: Error Err: <nil>",
        "the ClusterPair's storage status is Error",
    ),
    ("clusterPair to migrate to cannot be empty", "names no ClusterPair"),
    ('error getting namespace gone: namespaces "gone" not found', "The source has no namespace gone"),
    ("transformation t1 is not in ready state: Failed", "t1 is not Ready but Failed"),
    ("Error migrating volume pvc-1: Migration Backup failed for volume: no keys", "(Backup): no keys."),
    ("something that nobody has seen", "Stork cannot go on."),
)


@pytest.mark.parametrize(("message", "expected"), SAID)
def test_each_complaint_has_a_cause_and_a_remedy(message: str, expected: str) -> None:
    found = complaints.explained(message)
    assert expected in found.cause
    assert found.remedy
    assert found.said == message


def test_every_recorded_complaint_is_known() -> None:
    lines = (replaying.RECORDINGS / "errors-events.txt").read_text().splitlines()[1:]
    messages = [line.split(None, 4)[4] for line in lines if line.startswith("Warning   Failed")]
    assert len(messages) >= 9
    for message in messages:
        if not complaints.NOISE.search(message):
            assert complaints.explained(message).cause != "Stork cannot go on.", message


def warning(message: str, at: str, **more: Any) -> dict[str, Any]:
    return {"type": "Warning", "reason": "Failed", "message": message, "lastTimestamp": at, **more}


def test_what_keeps_stork_from_going_on_is_told_before_what_it_passes_over() -> None:
    skipped = warning('namespaces "gone" not found', "2026-11-23T05:00:09Z")
    skipped["reason"] = "namespace  gone was deleted, skipping migration"
    noise = warning("Operation cannot be fulfilled on migrations the object has been modified", "2026-11-23T05:00:10Z")
    found = complaints.newest([warning(SAID[7][0], "2026-11-23T05:00:01Z"), skipped, noise])
    assert found is not None
    assert "names no ClusterPair" in found.cause
    assert complaints.newest([noise, {"type": "Normal", "message": "all well"}]) is None


def begun(px: Estate, break_it: Any, **fields: Any) -> Migration:
    """A migration whose survey finds nothing, and which Stork then cannot begin because of `break_it`."""
    from migrations_app.engines.portworx import survey

    looked = survey.begin

    def begin(migration: Migration, lease: Any) -> None:
        looked(migration, lease)
        break_it()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "begin", begin)
        return px.drive(px.start(**fields), until=lambda migration: bool(migration.stork_object))


def rule(name: str) -> dict[str, Any]:
    text = f"""
    apiVersion: stork.libopenstorage.org/v1alpha1
    kind: Rule
    metadata: {{name: {name}, namespace: kube-system}}
    rules:
    - podSelector: {{app: mysql}}
      actions: [{{type: command, value: "true"}}]
    """
    return yaml.safe_load(text)


def test_a_rule_that_vanished_is_named_and_stork_is_given_up(px: Estate) -> None:
    hand.create(px.dev, "rules", rule("quiesce"))
    migration = begun(
        px,
        lambda: px.on("dev").delete("rules.stork.libopenstorage.org", "quiesce", "kube-system"),
        stork_options={"preExecRule": "quiesce"},
    )
    migration = px.drive(migration, until=lambda migration: bool(migration.reason))
    assert "There is no Rule quiesce in the Migration's namespace." in migration.reason
    assert "Make the Rule there, or leave it out." in migration.reason
    assert migration.status == Status.IN_PROGRESS
    assert migration.stage == Stage.INITIAL
    recorded = hand.get(px.dev, "migrations", "kube-system", "cmsmigration")
    assert recorded["status"]["stage"] == ""

    with override_settings(STORK_PATIENCE_SECONDS=0.0):
        migration = px.drive(migration)
    assert migration.status == Status.FAILED, told(migration)
    assert "There is no Rule quiesce" in migration.reason
    assert not px.objects("dev", MIGRATIONS, "kube-system")
    assert migration.events.filter(reason="Waiting").count() == 1


def test_what_is_mended_in_time_goes_on(px: Estate) -> None:
    hand.create(px.dev, "rules", rule("quiesce"))
    migration = begun(
        px,
        lambda: px.on("dev").delete("rules.stork.libopenstorage.org", "quiesce", "kube-system"),
        stork_options={"preExecRule": "quiesce"},
    )
    migration = px.drive(migration, until=lambda migration: bool(migration.reason))
    hand.create(px.dev, "rules", rule("quiesce"))
    migration = px.drive(migration)
    px.on("dev").delete("rules.stork.libopenstorage.org", "quiesce", "kube-system")
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert "PreExecRule" in migration.stage_times
    assert migration.events.filter(reason="Continuing").exists()


def test_a_migration_that_somebody_deletes_has_failed(px: Estate) -> None:
    px.s3.faults.latency = 0.2
    migration = px.drive(px.start(), until=lambda migration: migration.volumes.exists())
    px.on("dev").delete(MIGRATIONS, "cmsmigration", "kube-system")
    px.s3.faults.latency = 0.0
    migration = px.drive(migration)
    assert migration.status == Status.FAILED
    assert "was deleted on the source cluster dev by somebody else" in migration.reason


def test_a_volume_that_cannot_be_carried_is_named_with_portworx_words(px: Estate) -> None:
    px.s3.faults.fail(".*", status=403, code="InvalidAccessKeyId", times=1000)
    migration = px.drive(px.start())
    px.s3.faults.clear()
    assert migration.status == Status.FAILED, told(migration)
    assert migration.reason.startswith("Volume cms/px-")
    assert "Portworx could not carry a volume (Backup)" in migration.reason
    assert "No objects were applied." in migration.reason
    assert set(migration.volumes.values_list("status", flat=True)) == {Status.FAILED}
    assert not migration.resources.exists()
    assert hand.get(px.dev, "migrations", "kube-system", "cmsmigration")["status"]["status"] == "Failed"


def test_an_object_that_stork_could_not_apply_makes_a_partial_success(px: Estate) -> None:
    px.prod.faults.fail(r"/namespaces/cms/services", method="POST", status=403, times=1)
    migration = px.drive(px.start())
    assert migration.status == Status.PARTIAL_SUCCESS, told(migration)
    failed = migration.resources.get(status=Status.FAILED)
    assert failed.kind == "Service"
    assert failed.reason.startswith("Error applying resource:")
    # Each is a sentence of its own.
    assert f"{failed}: {failed.reason}." in migration.reason
    assert len(migration.volumes.all()) == len(nine.CLAIMS)
