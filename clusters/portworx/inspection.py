"""Reading `pxctl volume inspect`, its JSON form and its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from clusters.portworx.errors import UnreadableError
from clusters.portworx.pxctl import bytes_of, decoded, mapping, number, sequence
from clusters.texts import said


@dataclass(frozen=True)
class Consumer:
    """A pod that uses a volume."""

    name: str
    namespace: str
    node: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Volume:
    """A Portworx volume. Sizes in bytes; `attached_on` is the node's address, empty while it is detached."""

    id: str
    name: str
    size: int | None
    used: int | None
    replicas: int | None
    shared: bool
    status: str
    attached_on: str = ""
    format: str = ""
    priority: str = ""
    replica_nodes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    consumers: tuple[Consumer, ...] = ()


def from_json(text: str) -> list[Volume]:
    """The volumes that `pxctl volume inspect -j` describes. Raises UnreadableError."""
    document = decoded(text, "volume inspect -j")
    rows = [mapping(each) for each in (document if isinstance(document, list) else [document])]
    if not all(row.get("id") and mapping(row.get("locator")).get("name") for row in rows):
        raise UnreadableError("volume inspect -j", said("a volume has no id or name"))
    return [_volume(row) for row in rows]


def _volume(row: dict[str, Any]) -> Volume:
    locator, spec = mapping(row.get("locator")), mapping(row.get("spec"))
    attached = str(row.get("state") or "").rpartition("_")[2].lower() == "attached"
    return Volume(
        id=str(row["id"]),
        name=str(locator["name"]),
        size=number(spec.get("size")),
        used=number(row.get("usage")),
        replicas=number(spec.get("ha_level")),
        shared=spec.get("shared") is True or spec.get("sharedv4") is True,
        status=str(row.get("status") or "").rpartition("_")[2].lower(),
        attached_on=str(row.get("attached_on") or "") if attached else "",
        format=str(spec.get("format") or ""),
        priority=str(spec.get("cos") or "").upper(),
        replica_nodes=tuple(
            str(node) for each in sequence(row.get("replica_sets")) for node in sequence(mapping(each).get("nodes"))
        ),
        labels={str(key): str(value) for key, value in mapping(locator.get("volume_labels")).items()},
        consumers=tuple(_consumer(mapping(each)) for each in sequence(row.get("volume_consumers"))),
    )


def _consumer(row: dict[str, Any]) -> Consumer:
    return Consumer(
        name=str(row.get("name") or ""),
        namespace=str(row.get("namespace") or ""),
        node=str(row.get("node") or row.get("node_id") or ""),
        owner=str(row.get("owner") or row.get("owner_name") or ""),
    )


def from_text(text: str) -> list[Volume]:
    """The volumes that `pxctl volume inspect` describes. Raises UnreadableError."""
    starts = [found.start() for found in re.finditer(r"^[ \t]*Volume[ \t]*:", text, re.MULTILINE)]
    if not starts:
        raise UnreadableError("volume inspect", said("no line begins with “Volume :”"))
    blocks = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [_described(block) for block in blocks]


def _described(block: str) -> Volume:
    facts, replica_nodes, consumers = _lines(block)
    identity, name = facts.get("Volume", ""), facts.get("Name", "")
    if not (identity and name):
        raise UnreadableError("volume inspect", said("a volume has no id or name"))
    state = re.match(r"Attached\s*:\s*(\S+)", facts.get("State", ""), re.IGNORECASE)
    pairs = (each.partition("=") for each in facts.get("Labels", "").split(",") if "=" in each)
    return Volume(
        id=identity,
        name=name,
        size=bytes_of(facts.get("Size", "")),
        used=bytes_of(facts.get("Bytes used", "")),
        replicas=number(facts.get("HA")),
        # `yes`, `v4` and `v4 (service)` are all shared.
        shared=facts.get("Shared", "no").split(" ")[0].lower() not in ("no", ""),
        status=facts.get("Status", "").lower(),
        attached_on=state[1] if state else "",
        format=facts.get("Format", ""),
        priority=facts.get("IO Priority", ""),
        replica_nodes=tuple(replica_nodes),
        labels={key.strip(): value.strip() for key, _, value in pairs},
        consumers=tuple(consumers),
    )


def _lines(block: str) -> tuple[dict[str, str], list[str], list[Consumer]]:
    """The `key : value` lines (the first of a name counts), the nodes of the replicas, and the consumers."""
    facts: dict[str, str] = {}
    nodes: list[str] = []
    pods: list[dict[str, str]] = []
    for line in block.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if key.lstrip("- ") == "Name" and key.startswith("-"):
            pods.append({"Name": value})
        elif pods and key in ("Namespace", "Running on", "Controlled by"):
            pods[-1][key] = value
        elif key == "Node":
            nodes.append(value.split(" ")[0])
        else:
            facts.setdefault(key, value)
    consumers = [
        Consumer(
            name=pod["Name"].split(" ")[0],
            namespace=pod.get("Namespace", ""),
            node=pod.get("Running on", ""),
            owner=pod.get("Controlled by", "").split(" ")[0],
        )
        for pod in pods
    ]
    return facts, nodes, consumers
