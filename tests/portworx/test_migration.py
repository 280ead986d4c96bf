"""Stork's Migration as a value: the manifest, and the status of recorded and of damaged ones."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clusters.portworx import durations
from clusters.portworx.migration import MigrationSpec, Transfer, VolumeStatus, manifest, read, stork_name

RECORDINGS = Path(__file__).parents[1] / "portworx_estate" / "recordings"
EVERYTHING = MigrationSpec(
    cluster_pair="prodcluster",
    namespaces=("cms",),
    admin_cluster_pair="admin",
    namespace_selectors={"team": "content"},
    include_resources=True,
    include_volumes=False,
    start_applications=True,
    purge_deleted_resources=True,
    skip_service_update=True,
    include_network_policy_with_cidr=True,
    selectors={"app": "mysql"},
    exclude_selectors={"tier": "cache"},
    exclude_resource_types=("Secret",),
    include_optional_resource_types=("Job",),
    pre_exec_rule="quiesce",
    post_exec_rule="resume",
    skip_deleted_namespaces=False,
    transform_specs=("t1",),
    ignore_owner_references_check=True,
)


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((RECORDINGS / f"{name}-migration.yaml").read_text())
    return found


def test_every_field_of_the_recorded_spec_can_be_asked_for() -> None:
    assert set(EVERYTHING.to_object()) == set(recorded("m1")["spec"])


def test_the_manifest_of_the_story() -> None:
    spec = MigrationSpec(
        cluster_pair="prodcluster", namespaces=("cms",), include_resources=True, start_applications=True
    )
    assert manifest("cmsmigration", "cms", spec) == {
        "apiVersion": "stork.libopenstorage.org/v1alpha1",
        "kind": "Migration",
        "metadata": {"name": "cmsmigration", "namespace": "cms"},
        "spec": {
            "clusterPair": "prodcluster",
            "includeResources": True,
            "startApplications": True,
            "namespaces": ["cms"],
        },
    }


def test_a_spec_is_read_as_it_was_written() -> None:
    assert MigrationSpec.of(manifest("m", "cms", EVERYTHING)) == EVERYTHING
    assert MigrationSpec.of(recorded("m4")) == MigrationSpec(
        cluster_pair="pxpair",
        namespaces=("cms",),
        selectors={"app": "mysql"},
        include_resources=True,
        include_volumes=True,
        start_applications=True,
        purge_deleted_resources=False,
        skip_service_update=False,
        include_network_policy_with_cidr=False,
        skip_deleted_namespaces=True,
        ignore_owner_references_check=False,
    )
    assert stork_name("include_network_policy_with_cidr") == "includeNetworkPolicyWithCIDR"


def test_a_finished_migration_is_read() -> None:
    status = read(recorded("m4"))
    assert (status.stage, status.status, status.is_over, status.is_blank) == ("Final", "PartialSuccess", True, False)
    assert [(each.claim, each.status, each.reason, each.bytes_total) for each in status.volumes] == [
        ("px-mysql-pvc", "Successful", "Migration successful for volume", 104857600)
    ]
    failed = next(each for each in status.resources if each.status == "Failed")
    assert (failed.group, failed.kind, failed.name) == ("", "Endpoints", "mysql")
    assert failed.reason == 'Error applying resource: endpoints "mysql" already exists'
    assert status.summary is not None
    assert status.summary.elapsed_for_volumes == "4s"
    assert (status.summary.resources_migrated, status.summary.resources_total) == (4, 5)


def test_a_migration_that_stork_does_not_begin_is_blank() -> None:
    status = read(recorded("m9"))
    assert status.is_blank
    assert status.summary is not None
    assert status.summary.elapsed_for_resources == "NA"
    assert status.summary.elapsed_for_volumes == "1m0.382890146s"


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (
            "Volume migration has started. Backup in progress. BytesDone: 42 BytesTotal: 100 ETA: 7 seconds",
            Transfer("Backup", 42, 100, 7),
        ),
        (
            "Volume migration has started. VolumeUpdate in progress. BytesDone: 0 BytesTotal: 0 ETA: 0 seconds",
            Transfer("VolumeUpdate", 0, 0, 0),
        ),
        ("Volume migration has started. Backup in progress.", Transfer("Backup", None, None, None)),
        ("Volume migration has started. Backup in progress. BytesDone: x", Transfer("Backup", None, None, None)),
        ("Migration Backup failed for volume: no", None),
        ("", None),
    ],
)
def test_the_progress_of_a_volume_stands_in_its_reason(reason: str, found: Transfer | None) -> None:
    assert VolumeStatus("cms", "c", "v", "InProgress", reason, 0).transfer() == found
    assert VolumeStatus("cms", "c", "v", "Failed", reason, 0).transfer() is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["stage", "status", "volumes", "resources", "summary", "finishTimestamp"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_whatever_stands_in_the_status_can_be_read(status: dict[str, object], other: object) -> None:
    read({"status": status})
    read({"status": other})
    MigrationSpec.of({"spec": {"namespaces": other, "selectors": other, "includeVolumes": other, "clusterPair": other}})


def read_by_go(text: str) -> timedelta:
    """A duration as Go's time.ParseDuration takes it."""
    parts = list(re.finditer(r"([0-9]+(?:\.[0-9]+)?)(µs|ms|h|m|s)", text))
    assert "".join(each[0] for each in parts) == text
    seconds = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}
    return timedelta(seconds=sum(float(each[1]) * seconds[each[2]] for each in parts))


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_durations_go_to_text_and_back(length: timedelta) -> None:
    assert abs(read_by_go(durations.to_go(length)) - length) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=64.765525), "1m4.765525s"),
        (timedelta(seconds=24), "24s"),
        (timedelta(hours=72, minutes=3, seconds=0.5), "72h3m0.5s"),
    ],
)
def test_durations_are_written_as_go_does(length: timedelta, text: str) -> None:
    assert durations.to_go(length) == text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "<invalid>"), (-1, "0s"), (78, "78s"), (120, "2m"), (200, "3m20s"), (3600, "60m"), (4 * 3600 + 60, "4h1m")],
)
def test_ages_are_as_kubectl_shows_them(seconds: int, shown: str) -> None:
    assert durations.age(timedelta(seconds=seconds)) == shown
