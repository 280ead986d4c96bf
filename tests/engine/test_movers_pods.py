"""The movers' pods in the clusters: with which power they come, where they land, and how many at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils import translation

from migrations_app.engines.native import survey
from migrations_app.engines.native.placement import REQUIRED
from migrations_app.engines.native.privileges import ENFORCE
from migrations_app.models import Migration, Status
from migrations_app.resources.spec import Spec
from tests.engine.conftest import CLAIMS, Estate, told
from tests.webhooks import listening

Object = dict[str, Any]
CLASSES = {"gp3": "gp3-csi", "efs-rwx": "efs-sc"}


def moving(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).count() == 2


def job(estate: Estate, side: str, migration: Migration, claim: str) -> Object:
    """The spec of the pods of a claim's mover."""
    direction = "push" if side == "dev" else "pull"
    name = f"kubemotion-{direction}-{migration.pk.hex[:8]}-{migration.volumes.get(claim=claim).pk}"
    return dict(estate.objects(side, "jobs.batch")[name]["spec"]["template"]["spec"])


def landed(estate: Estate, volume: int) -> list[str]:
    """The nodes of the volume's mover pods on the destination."""
    pods = estate.on("prod").list("pods", "cms", label_selector=f"kubemotion.io/volume={volume}")
    return [pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")]


def test_a_restricted_namespace_gets_movers_without_root(estate: Estate) -> None:
    labels = {ENFORCE: "restricted"}
    estate.on("prod").create("namespaces", {"metadata": {"name": "cms", "labels": labels}})
    with translation.override("en"):
        planned = survey.plan(estate.pair, Spec(namespaces=("cms",), storage_class_mapping=CLASSES))
    warnings = [each["message"] for each in planned.checks if each["status"] == "warning"]
    assert any("destination cluster prod" in each and "are not kept" in each for each in warnings), planned.checks
    # The application's own pods are not let in there, which is not what this is about.
    migration = estate.drive(estate.start(start_applications=False), until=moving)
    for claim in CLAIMS:
        there, here = job(estate, "prod", migration, claim), job(estate, "dev", migration, claim)
        assert there["securityContext"]["runAsNonRoot"] is True
        assert there["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert here["securityContext"]["runAsUser"] == 0
    assert migration.events.filter(reason="WithoutRoot", type="Warning").count() == 2
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    refused = [each["message"] for each in estate.on("prod").list("events", "cms") if each["reason"] == "FailedCreate"]
    assert refused == []


def no_root(request: Object) -> Object:
    """As policies of clusters have it, whatever labels namespaces have."""
    context = request["object"]["spec"].get("securityContext") or {}
    return {"allowed": context.get("runAsNonRoot") is True, "status": {"code": 403, "message": "no root here"}}


def test_where_a_policy_lets_no_root_in_movers_come_without_it(estate: Estate, tmp_path: Path) -> None:
    """The label of the namespace says nothing: what the cluster would let in is tried."""
    prod = estate.on("prod")
    prod.create("namespaces", {"metadata": {"name": "cms"}})
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": "cms"}}
    configurations = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    with listening(tmp_path, no_root) as webhook:
        prod.create(
            configurations, webhook.configuration("Validating", "no-root", rules=[rule], namespaceSelector=here)
        )
        try:
            with translation.override("en"):
                planned = survey.plan(estate.pair, Spec(namespaces=("cms",), storage_class_mapping=CLASSES))
            warnings = [each["message"] for each in planned.checks if each["code"] == "mover-privileges"]
            assert any("destination" in each and "no root here" in each for each in warnings), planned.checks
            migration = estate.drive(estate.start(start_applications=False))
        finally:
            prod.delete(configurations, "no-root")
    assert migration.status == Status.SUCCESSFUL, told(migration)
    said = {each.message for each in migration.events.filter(reason="WithoutRoot", type="Warning")}
    assert len(said) == 1
    assert "no root here" in said.pop()


def test_a_baseline_namespace_gets_movers_that_keep_everything(estate: Estate) -> None:
    """On both sides: the clusters hold pods to the level."""
    level = {"metadata": {"labels": {ENFORCE: "baseline"}}}
    estate.on("dev").patch("namespaces", "cms", None, level)
    try:
        migration = estate.drive(estate.start())
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert not migration.events.filter(reason="WithoutRoot").exists()
        assert estate.different_files() == []
    finally:
        estate.on("dev").patch("namespaces", "cms", None, {"metadata": {"labels": {ENFORCE: None}}})


def test_the_puller_goes_where_the_application_will_run(estate: Estate) -> None:
    """No pod of the workload is there: its template tells."""
    dev = estate.on("dev")
    deployment = dev.get("deployments.apps", "mysql", "cms")
    before = deployment["spec"]["replicas"]
    toleration = {"key": "databases", "operator": "Exists", "effect": "NoSchedule"}
    target = [each["metadata"]["name"] for each in estate.on("prod").list("nodes")][-1]
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [target]}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}
    spec = {"affinity": affinity, "tolerations": [toleration]}
    dev.patch("deployments.apps", "mysql", "cms", {"spec": {"replicas": 0, "template": {"spec": spec}}})
    try:
        migration = estate.drive(estate.start(), until=moving)
        pod = job(estate, "prod", migration, "px-mysql-pvc")
        assert pod["affinity"] == affinity
        assert pod["tolerations"] == [toleration]
        volume = migration.volumes.get(claim="px-mysql-pvc")
        estate.drive(migration, until=lambda _migration: bool(landed(estate, volume.pk)))
        assert landed(estate, volume.pk) == [target]
        migration = estate.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
    finally:
        back = {"affinity": None, "tolerations": None}
        dev.patch("deployments.apps", "mysql", "cms", {"spec": {"replicas": before, "template": {"spec": back}}})


def test_volumes_beyond_the_limit_wait_and_the_largest_goes_first(estate: Estate, settings: Any) -> None:
    settings.MOVERS_PER_CLUSTER = 1
    estate.s3.faults.latency = 0.05
    most = 0

    def seen(migration: Migration) -> bool:
        nonlocal most
        most = max(most, migration.volumes.filter(status=Status.IN_PROGRESS).count())
        return migration.volumes.filter(reason="Waiting for other volumes").exists()

    migration = estate.drive(estate.start(), until=seen)
    waiting = migration.volumes.get(reason="Waiting for other volumes")
    other = migration.volumes.exclude(pk=waiting.pk).get()
    assert waiting.status == Status.PENDING
    assert other.status == Status.IN_PROGRESS
    assert other.capacity_bytes >= waiting.capacity_bytes
    estate.s3.faults.latency = 0

    def finished(migration: Migration) -> bool:
        seen(migration)
        return migration.is_finished and migration.cleaned_up

    migration = estate.drive(migration, until=finished)
    assert most == 1
    assert migration.status == Status.SUCCESSFUL, told(migration)
