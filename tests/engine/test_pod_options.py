"""What an installation's settings say of movers' pods is what the pods have."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from migrations_app.engines import RetriableError
from migrations_app.engines.native import pod_options
from migrations_app.engines.native.placement import where_it_can_run
from migrations_app.models import Status
from migrations_app.verifications import services as verifications
from tests.engine.conftest import Estate, told

Object = dict[str, Any]
GPU = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
PULL = b'{"auths": {"registry.example.com": {"auth": "c29tZWJvZHk6c2VjcmV0"}}}'
BUSY = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "movers"}, "value": 1000}


def test_resources_of_the_settings_take_the_place_of_ours(settings: Any) -> None:
    settings.MOVER_RESOURCES = {"requests": {"memory": "1Gi", "cpu": None}, "limits": {"cpu": "2"}}
    assert pod_options.resources() == {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi", "cpu": "2"}}
    settings.MOVER_RESOURCES = {"limits": {"memory": None}}
    assert pod_options.resources(shared=True) == {"requests": {"cpu": "50m", "memory": "128Mi"}}


def test_movers_prefer_nodes_only_where_they_do_not_decide_on_the_disk(settings: Any) -> None:
    settings.MOVER_PREFERRED_NODES = {"role": "infra"}
    spec = where_it_can_run({}, decides=False).spec()
    (term,) = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["preference"]["matchExpressions"] == [{"key": "role", "operator": "In", "values": ["infra"]}]
    assert where_it_can_run({}, decides=True).spec() == {}


def test_a_file_that_cannot_be_read_is_named_by_its_setting(settings: Any, tmp_path: Path) -> None:
    settings.MOVER_PULL_CONFIG = str(tmp_path / "none")
    with pytest.raises(RetriableError, match="KUBEMOTION_MOVER_PULL_CONFIG"):
        pod_options.pull_secret({"metadata": {"name": "a", "namespace": "b", "uid": "c"}}, {})


def test_movers_and_readers_have_them_all_and_the_pull_secret_goes_with_its_job(
    estate: Estate, settings: Any, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(PULL)
    settings.MOVER_PULL_CONFIG = str(config)
    settings.MOVER_PRIORITY_CLASS = "movers"
    settings.MOVER_TOLERATIONS = [GPU]
    settings.MOVER_RESOURCES = {"limits": {"cpu": "3"}}
    for side in ("dev", "prod"):
        estate.on(side).create("priorityclasses.scheduling.k8s.io", BUSY)
    try:
        migration = estate.drive(
            estate.start(include_resources=False),
            until=lambda migration: migration.volumes.filter(status=Status.IN_PROGRESS).count() == 2,
        )
        for side in ("dev", "prod"):
            check(estate, side)
        migration = estate.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert estate.leftovers() == []
        verifications.verify(migration, by=estate.by)
        estate.drive(migration, until=lambda _: all(estate.objects(each, "jobs.batch") for each in ("dev", "prod")))
        for side in ("dev", "prod"):
            check(estate, side)
        estate.drive(migration, until=lambda migration: not migration.is_verifying)
        assert estate.leftovers() == []
    finally:
        for side in ("dev", "prod"):
            estate.on(side).delete("priorityclasses.scheduling.k8s.io", "movers")


def check(estate: Estate, side: str) -> None:
    """All Jobs there are as the settings say."""
    secrets = estate.objects(side, "secrets")
    jobs = estate.objects(side, "jobs.batch").values()
    assert jobs
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == "movers"
        assert GPU in pod["tolerations"]
        assert all(each["resources"]["limits"]["cpu"] == "3" for each in pod["containers"])
        (name,) = (each["name"] for each in pod["imagePullSecrets"])
        secret = secrets[name]
        assert secret["type"] == "kubernetes.io/dockerconfigjson"
        assert base64.b64decode(secret["data"][".dockerconfigjson"]) == PULL
        (owner,) = secret["metadata"]["ownerReferences"]
        assert owner["uid"] == job["metadata"]["uid"]
