"""Rows 11 and 12 of the story: what `storkctl get migration` and `oc describe migration` say of it at its end."""

from __future__ import annotations

import re
from collections.abc import Collection

from tests.portworx_engine import nine

GROUPS = {"Deployment": ("apps", "v1"), "Route": ("route.openshift.io", "v1")}


def check_table(text: str, *, pair: str, name: str = "cmsmigration") -> None:
    """Stage, status, volumes and resources done of all, created, elapsed."""
    heading, row = text.splitlines()
    assert heading.split()[:6] == ["NAME", "CLUSTERPAIR", "STAGE", "STATUS", "VOLUMES", "RESOURCES"]
    assert row.split()[:6] == [name, pair, "Final", "Successful", "2/2", "9/9"]
    assert re.search(r"UTC   Volumes \(\S+s\) Resources \(\S+s\)   \d+$", row)


def check_description(text: str, *, pair: str, namespace: str, volumes: Collection[str]) -> None:
    """The spec; nine resources and two volumes, each with its reason; stage, status; the events in order."""
    assert re.search(r"^Name: +cmsmigration$", text, re.M)
    assert re.search(rf"^Namespace: +{namespace}$", text, re.M)
    assert re.search(r"^API Version: +stork.libopenstorage.org/v1alpha1$", text, re.M)
    spec, status = text.split("Spec:\n", 1)[1].split("Status:\n", 1)
    for field, value in (
        ("Cluster Pair", pair),
        ("Include Resources", "true"),
        ("Include Volumes", "true"),
        ("Start Applications", "true"),
        ("Admin Cluster Pair", ""),
        ("Pre Exec Rule", ""),
        ("Post Exec Rule", ""),
        ("Selectors", "<nil>"),
    ):
        assert re.search(rf"^  {field}: *{value}\s*$", spec, re.M), field
    assert "  Namespaces:\n    cms\n" in spec
    assert re.search(r"^  Stage: +Final$", status, re.M)
    assert re.search(r"^  Status: +Successful$", status, re.M)
    _check_resources(_entries(status, "Resources", "Stage"), volumes)
    said = _entries(status.split("Events:", 1)[0], "Volumes", "Events")
    assert [each["Persistent Volume Claim"] for each in said] == list(nine.CLAIMS)
    assert {each["Volume"] for each in said} == set(volumes)
    for each in said:
        assert (each["Namespace"], each["Status"]) == ("cms", "Successful")
        assert each["Reason"] == "Migration successful for volume"
        assert int(each["Bytes Total"]) > 0
    _check_events(text.split("  ----    ", 1)[1].splitlines()[1:], volumes)


def _check_resources(found: list[dict[str, str]], volumes: Collection[str]) -> None:
    assert len(found) == 9
    expected = nine.RESOURCES | {("PersistentVolume", name) for name in volumes}
    assert {(each["Kind"], each["Name"]) for each in found} == expected
    for each in found:
        assert (each["Status"], each["Reason"]) == ("Successful", "Resource migrated successfully")
        assert each["Namespace"] == ("" if each["Kind"] == "PersistentVolume" else "cms")
        assert (each["Group"], each["Version"]) == GROUPS.get(each["Kind"], ("core", "v1"))


def _check_events(lines: list[str], volumes: Collection[str]) -> None:
    """Volumes first, then resources; a volume's object is told of twice, and folded.

    From the tenth message on, client-go combines similar ones into one event, which has the last one's words.
    """
    assert [line.split()[:2] for line in lines] == [["Normal", "Successful"]] * len(lines)
    messages = [re.split(r"\s{2,}stork\s{2,}", line)[1] for line in lines]
    assert len(messages) == len(set(messages)) == 10
    of_volumes = {f"Volume {name} migrated successfully" for name in volumes}
    assert set(messages[:2]) == of_volumes
    told = re.compile(r"\S*/v1, Kind=(\w+) \S*/(\S+): Resource migrated successfully")
    kinds = [found[1] for message in messages[2:] if (found := told.search(message))]
    assert len(kinds) == len(messages) - 2
    twice = [line for line in lines if re.search(r"\(x2 over \S+\)", line)]
    assert sum("Kind=PersistentVolume /" in line for line in twice) == 2
    assert sum(message.startswith("(combined from similar events): ") for message in messages) == 1


def _entries(text: str, heading: str, following: str) -> list[dict[str, str]]:
    """The entries of a list in a description: each begins anew with the field that its first one began with."""
    section = text.split(f"  {heading}:\n", 1)[1].split(f"\n  {following}:", 1)[0]
    lines = [line.strip().split(":", 1) for line in section.splitlines() if line.strip()]
    first = lines[0][0]
    found: list[dict[str, str]] = []
    for name, value in lines:
        if name == first:
            found.append({})
        found[-1][name] = value.strip()
    return found
