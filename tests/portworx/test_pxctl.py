"""Reading what `pxctl` prints: every version that is documented, and whatever damage."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.portworx import inspection, pxctl, status
from clusters.portworx.errors import UnreadableError
from tests.portworx import outputs

GIB = 2**30
STATUS_JSON: dict[str, Any] = {
    "status": "STATUS_OK",
    "cluster": {
        "Id": "px-cluster-1",
        "Uid": "c02528e3-30b1-43e7-91c0-c26c111d57b3",
        "Status": 2,
        "Nodes": [
            {
                "Id": "n1",
                "MgmtIp": "192.168.121.99",
                "SchedulerNodeName": "node-1",
                "Status": 2,
                "Pools": [{"ID": 0, "TotalSize": str(100 * GIB), "Used": GIB, "RaidLevel": "raid0"}],
                "NodeLabels": {"PX Version": "3.4.1.0-6da4dd1"},
            },
            {"Id": "n2", "MgmtIp": "192.168.121.61", "SchedulerNodeName": "node-2", "Status": 1, "Pools": None},
        ],
    },
}


def test_the_status_of_2018_is_read() -> None:
    found = status.from_text(outputs.STATUS_1_5)
    assert (found.uuid, found.name) == ("a0d287ba-be82-4aac-b81c-7e22ac49faf5", "mycluster")
    assert found.is_operational
    assert (found.licence, found.version) == ("Enterprise", "1.5.0.0-bc1c580")
    assert [(node.ip, node.has_storage, node.capacity, node.is_online) for node in found.nodes] == [
        ("10.184.58.11", True, 20 * GIB, True),
        ("10.176.48.67", True, 20 * GIB, True),
        ("10.176.48.83", False, 0, True),
    ]
    [pool] = found.pools
    assert (pool.raid, pool.usable, pool.used, pool.status) == ("raid0", 20 * GIB, 3 * GIB, "Online")
    assert (found.used, found.capacity) == (6 * GIB, 40 * GIB)


def test_the_status_of_2025_is_read() -> None:
    found = status.from_text(outputs.STATUS_3_4)
    assert found.uuid == "c02528e3-30b1-43e7-91c0-c26c111d57b3"
    assert found.licence == "PX-Enterprise (expires in 209 days)"
    assert [(node.name, node.is_online, node.has_storage) for node in found.nodes] == [
        ("node-1.example.com", True, True),
        ("node-2.example.com", False, True),
    ]
    assert found.version == "3.4.0.0-1a2b3c4, 3.4.1.0-6da4dd1"


def test_the_json_of_the_status_is_read_also_behind_a_warning() -> None:
    found = status.from_json("Defaulted container “portworx” out of: portworx\n" + json.dumps(STATUS_JSON))
    assert found.uuid == "c02528e3-30b1-43e7-91c0-c26c111d57b3"
    assert [(node.name, node.is_online, node.capacity) for node in found.nodes] == [
        ("node-1", True, 100 * GIB),
        ("node-2", False, None),
    ]
    assert (found.used, found.capacity) == (GIB, 100 * GIB)


def test_a_status_without_identity_says_what_it_has_instead() -> None:
    with pytest.raises(UnreadableError, match="PX is not in quorum"):
        status.from_text(outputs.NO_QUORUM)


def test_a_volume_of_2017_is_read() -> None:
    [found] = inspection.from_text(outputs.INSPECT_2017)
    assert (found.id, found.name) == ("27052673284397061", "jenkins_vol")
    assert (found.size, found.used, found.replicas) == (4 * GIB, 130 * 2**20, 3)
    assert found.shared
    assert not found.attached_on
    assert found.replica_nodes == ("192.168.56.103", "192.168.56.104", "192.168.56.105")


def test_a_volume_with_consumers_is_read() -> None:
    first, second = inspection.from_text(outputs.INSPECT_2019 + "\n" + outputs.INSPECT_2017)
    assert second.name == "jenkins_vol"
    assert (first.attached_on, first.used, first.shared) == ("4f1c2a6e-2c29", 340 * 1024, False)
    assert first.labels == {"namespace": "cms", "pvc": "px-mysql-pvc"}
    assert first.replica_nodes == ("70.0.29.90", "70.0.29.91")
    assert first.consumers == (
        inspection.Consumer("mysql-6c5ddc6d95-5m5rj", "cms", "node-1.example.com", "mysql-6c5ddc6d95"),
    )


def test_the_json_of_a_volume_is_read_with_numbers_in_quotes() -> None:
    row = {
        "id": "756818650657204847",
        "locator": {"name": "px-mysql", "volume_labels": {"pvc": "px-mysql-pvc"}},
        "spec": {"size": str(10 * GIB), "ha_level": "2", "sharedv4": True, "format": "ext4", "cos": "high"},
        "usage": "348160",
        "status": "VOLUME_STATUS_UP",
        "state": "VOLUME_STATE_ATTACHED",
        "attached_on": "70.0.29.90",
        "replica_sets": [{"nodes": ["a", "b"]}],
        "volume_consumers": [{"name": "mysql-1", "namespace": "cms", "node_id": "n1", "owner_name": "mysql"}],
    }
    [found] = inspection.from_json(json.dumps([row]))
    assert (found.size, found.replicas, found.used, found.shared) == (10 * GIB, 2, 348160, True)
    assert (found.status, found.attached_on, found.replica_nodes) == ("up", "70.0.29.90", ("a", "b"))
    assert found.consumers == (inspection.Consumer("mysql-1", "cms", "n1", "mysql"),)
    row["state"] = "VOLUME_STATE_DETACHED"
    assert inspection.from_json(json.dumps([row]))[0].attached_on == ""


def test_credentials_of_all_providers_are_listed() -> None:
    s3, google, azure = pxctl.credentials(outputs.CREDENTIALS)
    assert (s3.name, s3.provider, s3.fields["ACCESS KEY"], s3.bucket) == (
        "my-s3-cred",
        "s3",
        "AB6R80F3SY0VW9NS6HYQ",
        "",
    )
    assert (google.name, google.provider, google.fields["PROJECT ID"]) == ("my-google-cred", "google", "235475231246")
    assert (azure.name, azure.provider, azure.fields["ACCOUNT NAME"]) == ("my-azure-cred", "azure", "pwx-test")
    [old] = pxctl.credentials(outputs.CREDENTIALS_OLD)
    assert (old.name, old.fields["ENDPOINT"]) == ("", "s3.amazonaws.com")
    assert pxctl.credentials("") == []
    assert pxctl.credentials("No credentials found\n") == []
    with pytest.raises(UnreadableError):
        pxctl.credentials("Could not reach 'HealthMonitor'\n")


def test_whether_credentials_were_made_is_read() -> None:
    assert pxctl.created("Credentials created successfully") == ""
    uuid = "59d1f0ea-9322-446f-b4db-10c918664af9"
    assert pxctl.created(f"Credentials created successfully, UUID:{uuid}\n") == uuid
    with pytest.raises(UnreadableError):
        pxctl.created("error: something else")


def test_the_token_is_read_and_never_repeated_when_it_cannot_be() -> None:
    assert pxctl.token(outputs.TOKEN) == "0123456789abcdef" * 8
    with pytest.raises(UnreadableError) as refused:
        pxctl.token("The Token: open-sesame-canary")
    assert "sesame" not in str(refused.value)


def test_the_licence_is_read() -> None:
    assert pxctl.may_migrate(outputs.LICENCE_2019) is True
    assert pxctl.may_migrate(outputs.LICENCE_2024) is False
    assert pxctl.may_migrate("Unknown command") is None
    assert pxctl.may_migrate_by_name("Trial (expires in 29 days)") is True
    assert pxctl.may_migrate_by_name("PX-Essential") is False
    assert pxctl.may_migrate_by_name("Trial (expired)") is False
    assert pxctl.may_migrate_by_name("") is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("0 B", 0), ("3.0 GiB", 3 * GIB), ("340 KiB", 348160), ("1.5 TiB", 3 * 2**39), ("34 GB", 34 * 10**9), ("-", None)],
)
def test_sizes(text: str, size: int | None) -> None:
    assert pxctl.bytes_of(text) == size


READERS: list[tuple[Callable[[str], object], str]] = [
    (status.from_text, outputs.STATUS_1_5),
    (status.from_text, outputs.STATUS_3_4),
    (status.from_json, json.dumps(STATUS_JSON)),
    (inspection.from_text, outputs.INSPECT_2019),
    (inspection.from_json, json.dumps([{"id": "1", "locator": {"name": "v"}, "spec": {"size": "1"}}])),
    (pxctl.credentials, outputs.CREDENTIALS),
    (pxctl.created, "Credentials created successfully, UUID:59d1f0ea-9322-446f-b4db-10c918664af9"),
    (pxctl.token, outputs.TOKEN),
    (pxctl.may_migrate, outputs.LICENCE_2019),
]


HTML = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>Volume : 1\nToken is broken</body>\n</html>\n"
# What a proxy, a shell or another language puts in the place of an answer.
NO_ANSWERS = ("", "\n", "   \t\n", HTML, "exec failed: EOF\n", "null\n", "[]\n", "{}\n", "\x00\x01\x02")


@pytest.mark.parametrize("text", NO_ANSWERS)
@pytest.mark.parametrize("read", [status.from_text, status.from_json, inspection.from_text, pxctl.created, pxctl.token])
def test_what_is_no_answer_is_told_as_such(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(UnreadableError, match="cannot be understood") as refused:
        read(text)
    assert refused.value.remedy


@pytest.mark.parametrize("text", [each for each in NO_ANSWERS if each != "[]\n"])
def test_no_volumes_are_read_from_what_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableError):
        inspection.from_json(text)


@pytest.mark.parametrize("text", [HTML, "exec failed: EOF\n", "\x00\x01\x02"])
def test_no_credentials_are_read_from_what_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableError):
        pxctl.credentials(text)
    assert pxctl.may_migrate(text) is None


def test_an_answer_in_another_language_is_refused_or_leaves_out_what_it_does_not_say() -> None:
    german = outputs.STATUS_3_4.replace("Cluster UUID", "Cluster-Kennung").replace("License", "Lizenz")
    with pytest.raises(UnreadableError, match="no Cluster UUID"):
        status.from_text(german)
    with pytest.raises(UnreadableError):
        inspection.from_text(outputs.INSPECT_2019.replace("Volume", "Datenträger"))
    with pytest.raises(UnreadableError):
        pxctl.token(outputs.TOKEN.replace("Token is", "Das Token lautet"))
    # Numbers with a decimal comma are not guessed.
    found = status.from_text(outputs.STATUS_1_5.replace("3.0 GiB", "3,0 GiB"))
    assert found.nodes[0].used is None
    assert found.nodes[0].capacity == 20 * GIB
    [volume] = inspection.from_text(outputs.INSPECT_2017.replace("130 MiB", "130,5 MiB"))
    assert volume.used is None


def test_columns_and_lines_of_later_versions_are_passed_over() -> None:
    def widened(text: str, before: str, values: str) -> str:
        head = next(line for line in text.splitlines() if before in line and "IP" in line)
        at = re.split(r"\t+", head.strip("\t")).index(before)
        lines = []
        for line in text.splitlines():
            row = re.split(r"\t+", line.strip("\t"))
            is_row = line == head or re.match(r"\t\d+\.\d+\.\d+\.\d+\t", line)
            lines.append(
                "\t" + "\t".join([*row[:at], "Zone" if line == head else values, *row[at:]]) if is_row else line
            )
        return "\n".join(lines)

    for text in (outputs.STATUS_1_5, outputs.STATUS_3_4):
        as_it_was, wider = status.from_text(text), status.from_text(widened(text, "Used", "eu-1 (rack 3)"))
        assert wider.nodes == as_it_was.nodes
    more = outputs.INSPECT_2019.replace("\tStatus", "\tSecure : yes\n\tStatus", 1)
    assert inspection.from_text(more) == inspection.from_text(outputs.INSPECT_2019)
    head, row = "UUID\tNAME\tSHARING\tACCOUNT NAME\tBUCKET", "1672e1c9-c513-44db-b8b5-b59e3d35a3a2\tc\tall\tacc\tb"
    [found] = pxctl.credentials(f"Azure Credentials\n{head}\n{row}\n")
    assert (found.name, found.bucket, found.fields["ACCOUNT NAME"]) == ("c", "b", "acc")
    licence = outputs.LICENCE_2024.replace("               no", "               no    since 2024    x")
    assert pxctl.may_migrate(licence) is False


@pytest.mark.parametrize(("read", "text"), READERS)
def test_whatever_is_cut_off_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    for end in range(len(text)):
        with contextlib.suppress(UnreadableError):
            read(text[:end])


# How long a busy machine takes to think of inputs says nothing about the parsers.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(reader=st.sampled_from(READERS), at=st.integers(0, 3000), junk=st.text(max_size=20), kept=st.integers(0, 3000))
def test_whatever_is_damaged_is_read_or_refused(
    reader: tuple[Callable[[str], object], str], at: int, junk: str, kept: int
) -> None:
    read, text = reader
    with contextlib.suppress(UnreadableError):
        read(text[:at] + junk + text[min(at, kept) :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cluster", "Nodes", "Pools", "cluster_uuid", "spec", "locator"]), inner)
    ),
    max_leaves=12,
)


@given(document=JSON)
def test_json_of_any_shape_is_read_or_refused(document: object) -> None:
    for read in (status.from_json, inspection.from_json):
        with contextlib.suppress(UnreadableError):
            read(json.dumps(document))
    wrapped = {"cluster_uuid": "c02528e3-30b1-43e7-91c0-c26c111d57b3", "cluster": {"Nodes": document}}
    assert status.from_json(json.dumps(wrapped)).uuid


@given(text=st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read, _ in READERS:
        with contextlib.suppress(UnreadableError):
            read(text)
