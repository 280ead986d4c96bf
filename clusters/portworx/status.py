"""Reading `pxctl status`, its JSON form and its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clusters.portworx.errors import UnreadableError
from clusters.portworx.pxctl import SIZE, UUID, bytes_of, cells, decoded, mapping, number, sequence
from clusters.texts import Text, said

# Numbers of the SDK's `Status`: https://github.com/libopenstorage/openstorage, api.proto.
ONLINE = 2
OPERATIONAL = "operational"
# The text form of the JSON form's STATUS_OK.
IS_OPERATIONAL = "PX is operational"


@dataclass(frozen=True)
class Pool:
    """A storage pool of the node that was asked, or of a node in the JSON form. Sizes in bytes."""

    id: str
    node: str
    status: str
    usable: int | None
    used: int | None
    raid: str = ""
    priority: str = ""


@dataclass(frozen=True)
class Node:
    """A node of the Portworx cluster. Sizes in bytes."""

    id: str
    ip: str
    name: str
    has_storage: bool
    status: str
    used: int | None
    capacity: int | None
    version: str = ""

    @property
    def is_online(self) -> bool:
        return self.status.lower().startswith("online")


@dataclass(frozen=True)
class Status:
    """What `pxctl status` says of the cluster and the node that was asked."""

    uuid: str
    name: str = ""
    status: str = ""
    is_operational: bool = False
    licence: str = ""
    nodes: tuple[Node, ...] = ()
    pools: tuple[Pool, ...] = field(default=())
    used: int | None = None
    capacity: int | None = None

    @property
    def version(self) -> str:
        """The version that the nodes run; several, sorted, during an upgrade."""
        return ", ".join(sorted({node.version for node in self.nodes if node.version}))


NODE = re.compile(
    r"^\s*(?P<ip>[0-9a-fA-F.:]+)\s+(?P<id>\S+)\s+(?:(?P<name>\S+)\s+)??(?:(?:Enabled|Disabled)\s+)?"
    rf"(?P<storage>Yes(?:\([^)]*\))?|No)\s+(?P<used>{SIZE}|\S+)\s+(?P<capacity>{SIZE}|\S+)\s+"
    r"(?P<status>[A-Z][A-Za-z]+(?: \([^)]*\))?)\s+(?P<storage_status>\S.*?)\s+(?P<version>[0-9]+\.[0-9]+\.\S+)(?:\s|$)"
)
POOL = re.compile(
    rf"^\s*(?P<id>[0-9]+)\s+(?P<priority>[A-Z]+)\s+(?P<raid>\S+)\s+(?P<usable>{SIZE})\s+(?P<used>{SIZE})\s+"
    r"(?P<status>\S+)\s"
)

# The same by the heads of the tables: other columns may stand between them.
NAME_COLUMN = "SchedulerNodeName"
NODE_COLUMNS = {
    "ip": "IP",
    "id": "ID",
    "storage": "StorageNode",
    "used": "Used",
    "capacity": "Capacity",
    "status": "Status",
    "version": "Version",
}
POOL_COLUMNS = {
    "id": "POOL",
    "priority": "IO_PRIORITY",
    "raid": "RAID_LEVEL",
    "usable": "USABLE",
    "used": "USED",
    "status": "STATUS",
}


def from_text(text: str) -> Status:
    """The status as `pxctl status` prints it. Raises UnreadableError without the cluster's UUID."""
    uuid = _after(text, "Cluster UUID")
    if not UUID.fullmatch(uuid):
        raise UnreadableError("status", _why(text))
    known = _after(text, "Status")
    here = _after(text, "IP")
    return Status(
        uuid=uuid,
        name=_after(text, "Cluster ID"),
        status=known,
        is_operational=known.endswith(OPERATIONAL),
        licence=_after(text, "License"),
        nodes=tuple(_node(found) for found in _rows(text, ("IP", "ID"), NODE, NODE_COLUMNS)),
        pools=tuple(_pool(found, here) for found in _rows(text, ("POOL",), POOL, POOL_COLUMNS)),
        used=bytes_of(_after(text, "Total Used")),
        capacity=bytes_of(_after(text, "Total Capacity")),
    )


def _after(text: str, name: str) -> str:
    """The value of the first line `NAME: value`, indented or not."""
    found = re.search(rf"^[ \t]*{re.escape(name)}[ \t]*:[ \t]*(.*?)[ \t]*$", text, re.MULTILINE)
    return found[1] if found else ""


def _why(text: str) -> Text:
    first = _after(text, "Status") or next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not first:
        return said("it has no Cluster UUID")
    return said("it has no Cluster UUID, and begins with “{words}”", words=first[:120])


def _rows(
    text: str, begins: tuple[str, ...], form: re.Pattern[str], columns: dict[str, str]
) -> Iterator[dict[str, str]]:
    """The rows of a table, by the names in its head where each has a cell, else by their usual form."""
    head: list[str] = []
    for line in text.splitlines():
        row = cells(line)
        if row[: len(begins)] == list(begins):
            head = row
        elif head and len(row) == len(head) and set(columns.values()) <= set(head):
            named = dict(zip(head, row, strict=True))
            yield {key: named[column] for key, column in columns.items()} | {"name": named.get(NAME_COLUMN, "")}
        elif found := form.match(line):
            yield {key: value or "" for key, value in found.groupdict().items()}
        elif not row:
            head = []


def _node(found: dict[str, str]) -> Node:
    return Node(
        id=found["id"],
        ip=found["ip"],
        name=found["name"],
        has_storage=found["storage"].startswith("Yes"),
        status=found["status"],
        used=bytes_of(found["used"]),
        capacity=bytes_of(found["capacity"]),
        version=found["version"],
    )


def _pool(found: dict[str, str], node: str) -> Pool:
    return Pool(
        id=found["id"],
        node=node,
        status=found["status"],
        usable=bytes_of(found["usable"]),
        used=bytes_of(found["used"]),
        raid=found["raid"],
        priority=found["priority"],
    )


def from_json(text: str) -> Status:
    """The status as `pxctl status -j` prints it. Raises UnreadableError without the cluster's UUID."""
    document = mapping(decoded(text, "status -j"))
    cluster = mapping(document.get("cluster"))
    candidates = (document.get("cluster_uuid"), *(cluster.get(key) for key in ("Uid", "UID", "Uuid", "UUID")))
    uuid = next((each for each in candidates if isinstance(each, str) and UUID.fullmatch(each)), "")
    if not uuid:
        raise UnreadableError("status -j", said("it has no cluster_uuid"))
    members = [mapping(each) for each in sequence(cluster.get("Nodes"))]
    pool = mapping(document.get("global_storage_pool"))
    known = str(document.get("status") or "")
    nodes = tuple(_member(each) for each in members)
    return Status(
        uuid=uuid,
        name=str(cluster.get("Id") or ""),
        status=IS_OPERATIONAL if known == "STATUS_OK" else known,
        is_operational=known == "STATUS_OK" or number(cluster.get("Status")) == ONLINE,
        licence=str(document.get("license") or ""),
        nodes=nodes,
        pools=tuple(each for member in members for each in _pools(member)),
        used=_number_or_sum(pool.get("used"), nodes, "used"),
        capacity=_number_or_sum(pool.get("capacity"), nodes, "capacity"),
    )


def _number_or_sum(value: Any, nodes: tuple[Node, ...], name: str) -> int | None:
    known = number(value)
    parts = [part for node in nodes if (part := getattr(node, name)) is not None]
    return known if known is not None else (sum(parts) if parts else None)


def _member(member: dict[str, Any]) -> Node:
    pools = _pools(member)
    labels = mapping(member.get("NodeLabels"))
    online = number(member.get("Status")) == ONLINE
    return Node(
        id=str(member.get("Id") or ""),
        ip=str(member.get("MgmtIp") or member.get("DataIp") or ""),
        name=str(member.get("SchedulerNodeName") or member.get("Hostname") or ""),
        has_storage=bool(pools),
        status="Online" if online else "Offline",
        used=_sum(each.used for each in pools),
        capacity=_sum(each.usable for each in pools),
        version=str(labels.get("PX Version") or ""),
    )


def _pools(member: dict[str, Any]) -> list[Pool]:
    return [
        Pool(
            id=str(pool.get("ID", "")),
            node=str(member.get("SchedulerNodeName") or member.get("MgmtIp") or ""),
            status="Online" if number(member.get("Status")) == ONLINE else "Offline",
            usable=number(pool.get("TotalSize")),
            used=number(pool.get("Used")),
            raid=str(pool.get("RaidLevel") or ""),
        )
        for pool in (mapping(each) for each in sequence(member.get("Pools")))
    ]


def _sum(values: Any) -> int | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None
