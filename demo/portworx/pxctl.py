"""`pxctl`, as `exec` into a Portworx pod finds it under /opt/pwx/bin.

Portworx is closed: the outputs follow its documentation, and their JSON forms carry the same facts under the names that
the SDK uses.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo.cluster.controllers.loop import find, is_pod_finished
from demo.cluster.controllers.quantities import quantity
from demo.cluster.controllers.volumes import CLAIMS, claims_used_by, volume_folder
from demo.cluster.kubelet.images import Image, Place, Terminal, register
from demo.portworx import storage
from demo.portworx.classes import DRIVERS, parameters_of
from demo.portworx.storage import Storage, StorageError, storage_of

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
POOL_BYTES = 100 * 2**30
GIB = 2**30
Answer = tuple[str, Any]


class UsageError(Exception):
    """The command line is wrong."""


def teach() -> None:
    """Teach the nodes the image of Portworx."""
    register("oci-monitor", Image(commands={"pxctl": run, "curl": curl}))


async def run(place: Place, words: list[str], terminal: Terminal) -> int:
    """One `pxctl` command."""
    as_json = any(each in ("-j", "--json") for each in words)
    arguments = [each for each in words[1:] if each not in ("-j", "--json")]
    try:
        text, data = await _answer(place, arguments)
    except UsageError as problem:
        await terminal.err(f"{problem}\n")
        return 1
    except StorageError as refusal:
        await terminal.err(f"{refusal}\n")
        return 1
    await terminal.out(json.dumps(data, indent=1) + "\n" if as_json else text + "\n")
    return 0


async def curl(_: Place, words: list[str], terminal: Terminal) -> int:
    """`curl URL` to another cluster's Portworx, whose REST gateway answers 404: only whether it is there counts."""
    parts = urlsplit(words[-1])
    host, port = parts.hostname or "", parts.port or 80
    try:
        storage.at_address(host, port)
    except StorageError as refusal:
        if "no such host" in str(refusal):
            await terminal.err(f"curl: (6) Could not resolve host: {host}\n")
            return 6
        await terminal.err(
            f"curl: (7) Failed to connect to {host} port {port} after 1 ms: Couldn't connect to server\n"
        )
        return 7
    return 0


async def _answer(place: Place, arguments: list[str]) -> Answer:
    local = storage_of(place.api)
    words, flags = _parsed(arguments)
    match words:
        case ["status"]:
            return _status(local, place)
        case ["license", "list" | "l"]:
            return _licence()
        case ["volume" | "v", "list" | "l"]:
            return _volumes(local)
        case ["volume" | "v", "inspect" | "i", *names] if names:
            found = [_volume(local, name) for name in names]
            return "\n\n".join(_inspected(each) for each in found), found
        case ["credentials" | "cred", "create" | "c", name]:
            return await _create_credentials(place, local, name, flags)
        case ["credentials" | "cred", "list" | "l"]:
            return _credentials(local)
        case ["credentials" | "cred", "validate" | "v", name]:
            known = local.credential(name)
            if known is None:
                raise StorageError(f"Failed to validate credential: Credential {name} not found")
            await asyncio.to_thread(storage.validate, known)
            return "Credential validated successfully", {"status": "ok"}
        case ["credentials" | "cred", "delete" | "d", name]:
            local.remove_credential(name)
            return "Credential deleted successfully", {"status": "ok"}
        case ["cluster" | "c", "token", "show"]:
            return f"Token is {local.token}", {"token": local.token}
        case ["cluster" | "c", "token", "reset"]:
            return f"Token is {local.reset_token()}", {"token": local.token}
        case ["cluster" | "c", "pair", "list"]:
            return _pairs(local)
        case ["cloudmigrate" | "cm", "status"]:
            return _tasks(local)
    raise UsageError(f"Unknown command: pxctl {' '.join(arguments)}")


def _parsed(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Words and flags; a flag's value follows it or an equals sign."""
    words: list[str] = []
    flags: dict[str, str] = {}
    pending = iter(arguments)
    for each in pending:
        if not each.startswith("--"):
            words.append(each)
            continue
        name, equals, value = each[2:].partition("=")
        if name in ("s3-disable-ssl", "disable-ssl"):
            flags[name] = value or "true"
        else:
            flags[name] = value if equals else next(pending, "")
    return words, flags


def _rows(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _gib(number: float) -> str:
    return f"{number / GIB:.1f} GiB"


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)


def _used(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def _volumes_of(local: Storage) -> list[Object]:
    return [
        each
        for each in local.api.list("persistentvolumes")
        if (each["spec"].get("csi") or {}).get("driver") in DRIVERS or "portworxVolume" in each["spec"]
    ]


def _address(node: Object) -> str:
    return next((each["address"] for each in node["status"].get("addresses", ()) if each["type"] == "InternalIP"), "")


def _status(local: Storage, place: Place) -> Answer:
    nodes = local.api.list("nodes")
    own = find(local.api, "nodes", None, place.pod["spec"].get("nodeName", ""))
    used = sum(_used(volume_folder(local.api, each["metadata"]["name"])) for each in _volumes_of(local))
    each_used = used // max(1, len(nodes))
    labels = own["metadata"].get("labels", {}) if own else {}
    zone = labels.get("topology.kubernetes.io/zone", "default")
    region = labels.get("topology.kubernetes.io/region", "default")
    node_id = str(own["metadata"]["uid"]) if own else ""
    address = _address(own) if own else ""
    pool = [
        ["POOL", "IO_PRIORITY", "RAID_LEVEL", "USABLE", "USED", "STATUS", "ZONE", "REGION"],
        ["0", "HIGH", "raid0", _gib(POOL_BYTES), _gib(each_used), "Online", zone, region],
    ]
    devices = [
        ["Device", "Path", "Media Type", "Size", "Last-Scan"],
        [
            "0:1",
            "/dev/nvme1n1",
            "STORAGE_MEDIUM_NVME",
            _gib(POOL_BYTES),
            datetime.now(UTC).strftime("%d %b %y %H:%M UTC"),
        ],
    ]
    table = [
        ["IP", "ID", "SchedulerNodeName", "StorageNode", "Used", "Capacity", "Status", "StorageStatus", "Version",
         "Kernel", "OS"],
    ]  # fmt: skip
    for node in nodes:
        info = node["status"].get("nodeInfo", {})
        mine = " (This node)" if own and node["metadata"]["name"] == own["metadata"]["name"] else ""
        table.append(
            [_address(node), node["metadata"]["uid"], node["metadata"]["name"], "Yes", _gib(each_used),
             _gib(POOL_BYTES), "Online", f"Up{mine}", storage.VERSION, info.get("kernelVersion", ""),
             info.get("osImage", "")]
        )  # fmt: skip
    text = "\n".join(
        [
            "Status: PX is operational",
            "License: Trial (expires in 29 days)",
            f"Node ID: {node_id}",
            f"\tIP: {address}",
            " \tLocal Storage Pool: 1 pool",
            *("\t" + line for line in _rows(pool).splitlines()),
            "\tLocal Storage Devices: 1 device",
            *("\t" + line for line in _rows(devices).splitlines()),
            "\ttotal\t-\t" + _gib(POOL_BYTES),
            "Cluster Summary",
            f"\tCluster ID: {local.name}",
            f"\tCluster UUID: {local.uuid}",
            "\tScheduler: kubernetes",
            f"\tNodes: {len(nodes)} node(s) with storage ({len(nodes)} online)",
            *("\t" + line for line in _rows(table).splitlines()),
            "Global Storage Pool",
            f"\tTotal Used    \t:  {_gib(used)}",
            f"\tTotal Capacity\t:  {_gib(POOL_BYTES * len(nodes))}",
        ]
    )
    members = [
        {
            "Id": node["metadata"]["uid"],
            "MgmtIp": _address(node),
            "DataIp": _address(node),
            "SchedulerNodeName": node["metadata"]["name"],
            "Status": 2,
            "Pools": [{"ID": 0, "Cos": 3, "TotalSize": POOL_BYTES, "Used": each_used, "RaidLevel": "raid0"}],
            "NodeLabels": {"PX Version": storage.VERSION, "OS": node["status"].get("nodeInfo", {}).get("osImage", "")},
        }
        for node in nodes
    ]
    data = {
        "status": "STATUS_OK",
        "cluster": {"Id": local.name, "Uid": local.uuid, "Status": 2, "NodeId": node_id, "Nodes": members},
        "cluster_uuid": local.uuid,
        "global_storage_pool": {"used": used, "capacity": POOL_BYTES * len(nodes)},
        "license": "Trial (expires in 29 days)",
    }
    return text, data


LICENCE = {
    "Number of nodes maximum": "1000",
    "Shared volumes": "yes",
    "Resize volumes on demand": "yes",
    "Snapshot to object store [CloudSnap]": "yes",
    "Cluster-level migration [Kube-motion/Data Migration]": "yes",
    "Disaster Recovery [PX-DR]": "yes",
}


def _licence() -> Answer:
    rows = [["DESCRIPTION", "ENABLEMENT", "ADDITIONAL INFO"]]
    rows += [[name, value, ""] for name, value in LICENCE.items()]
    rows.append(["Product SKU", "Trial", "expires in 29 days"])
    return _rows(rows), {"features": LICENCE, "sku": "Trial"}


def _volume(local: Storage, name: str) -> Object:
    """One volume, by its id, its name or that of its PersistentVolume. Raises StorageError."""
    for each in _volumes_of(local):
        found = _described(local.api, each)
        if name in (found["id"], found["locator"]["name"], each["spec"].get("csi", {}).get("volumeHandle")):
            return found
    raise StorageError(f"Volume {name} not found")


def _described(api: ClusterAPI, volume: Object) -> Object:
    name = volume["metadata"]["name"]
    spec = volume["spec"]
    handle = (spec.get("csi") or {}).get("volumeHandle", name)
    identity = handle if handle.isdigit() else str(10**17 + _digest(name) % (9 * 10**17))
    reference = spec.get("claimRef") or {}
    claim = find(api, CLAIMS, reference.get("namespace"), reference.get("name", "-")) if reference else None
    consumers = _consumers(api, reference)
    nodes = api.list("nodes")
    attached = next((node for node in nodes if consumers and node["metadata"]["name"] == consumers[0]["node"]), None)
    wanted = parameters_of(api, volume).get("repl", "1")
    copies = int(wanted) if wanted.isdigit() else 1
    shared = "ReadWriteMany" in spec.get("accessModes", ())
    sorted_nodes = sorted(nodes, key=lambda node: _digest(name + node["metadata"]["name"]))
    labels = {"pvc": reference.get("name", ""), "namespace": reference.get("namespace", "")} if claim else {}
    return {
        "id": identity,
        "locator": {"name": name, "volume_labels": labels},
        "ctime": volume["metadata"]["creationTimestamp"],
        "spec": {
            "size": int(quantity(spec["capacity"]["storage"])),
            "format": (spec.get("csi") or {}).get("fsType", "ext4"),
            "ha_level": copies,
            "shared": False,
            "sharedv4": shared,
            "cos": "high",
        },
        "usage": _used(volume_folder(api, name)),
        "status": "up",
        "state": "attached" if attached else "detached",
        "attached_on": _address(attached) if attached else "",
        "device_path": f"/dev/pxd/pxd{identity}" if attached else "",
        "replica_sets": [{"nodes": [_address(node) for node in sorted_nodes[:copies]]}],
        "volume_consumers": consumers,
    }


def _consumers(api: ClusterAPI, reference: Object) -> list[Object]:
    return [
        {
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
            "namespace": pod["metadata"]["namespace"],
            "node": pod["spec"]["nodeName"],
            "owner": next((each["name"] for each in pod["metadata"].get("ownerReferences", ())), ""),
        }
        for pod in (api.list("pods", reference["namespace"]) if reference else ())
        if reference["name"] in claims_used_by(pod) and pod["spec"].get("nodeName") and not is_pod_finished(pod)
    ]


def _volumes(local: Storage) -> Answer:
    found = [_described(local.api, each) for each in _volumes_of(local)]
    if not found:
        return "No volumes found", []
    rows = [
        ["ID", "NAME", "SIZE", "HA", "SHARED", "ENCRYPTED", "PROXY-VOLUME", "IO_PRIORITY", "STATUS", "SNAP-ENABLED"]
    ]
    for each in found:
        state = f"up - attached on {each['attached_on']}" if each["state"] == "attached" else "up - detached"
        shared = "v4" if each["spec"]["sharedv4"] else "no"
        rows.append(
            [each["id"], each["locator"]["name"], f"{each['spec']['size'] / GIB:g} GiB", str(each["spec"]["ha_level"]),
             shared, "no", "no", "HIGH", state, "no"]
        )  # fmt: skip
    return _rows(rows), found


def _inspected(volume: Object) -> str:
    spec = volume["spec"]
    made = datetime.fromisoformat(volume["ctime"]).strftime("%b %d %H:%M:%S UTC %Y")
    state = f"Attached: {volume['attached_on']}" if volume["state"] == "attached" else "detached"
    labels = ",".join(f"{key}={value}" for key, value in volume["locator"]["volume_labels"].items())
    lines = [
        ("Volume", volume["id"]),
        ("Name", volume["locator"]["name"]),
        ("Size", f"{spec['size'] / GIB:g} GiB"),
        ("Format", spec["format"]),
        ("HA", spec["ha_level"]),
        ("IO Priority", "HIGH"),
        ("Creation time", made),
        ("Shared", "v4 (service)" if spec["sharedv4"] else "no"),
        ("Status", volume["status"]),
        ("State", state),
        *([("Device Path", volume["device_path"])] if volume["device_path"] else []),
        ("Labels", labels),
        ("Reads", 0),
        ("Reads MS", 0),
        ("Bytes Read", 0),
        ("Writes", 0),
        ("Writes MS", 0),
        ("Bytes Written", volume["usage"]),
        ("IOs in progress", 0),
        ("Bytes used", f"{volume['usage'] / 2**20:.1f} MiB"),
    ]
    text = [f"\t{name:<18}:  {value}" for name, value in lines]
    text[0] = text[0][1:]
    text.append("\tReplica sets on nodes:")
    for number, replica in enumerate(volume["replica_sets"]):
        text.append(f"\t\tSet {number}")
        text += [f"\t\t  Node \t\t : {address} (Pool 0)" for address in replica["nodes"]]
    text.append(f"\t{'Replication Status':<18}:  Up")
    if volume["volume_consumers"]:
        text.append(f"\t{'Volume consumers':<18}: ")
        for each in volume["volume_consumers"]:
            text.append(f"\t\t- Name           : {each['name']} ({each['uid']}) (Pod)")
            text.append(f"\t\t  Namespace      : {each['namespace']}")
            text.append(f"\t\t  Running on     : {each['node']}")
            text.append(f"\t\t  Controlled by  : {each['owner']} (ReplicaSet)")
    return "\n".join(text)


# What each provider has to be told.
NEEDED = {
    "s3": ("s3-access-key", "s3-secret-key", "s3-region", "s3-endpoint"),
    "azure": ("azure-account-name", "azure-account-key"),
    "google": ("google-project-id", "google-json-key-file"),
}


async def _create_credentials(place: Place, local: Storage, name: str, flags: dict[str, str]) -> Answer:
    provider = flags.get("provider", "")
    if provider not in NEEDED:
        raise UsageError("Failed to create credential: unknown provider")
    missing = [each for each in NEEDED[provider] if not flags.get(each)]
    if missing:
        raise UsageError(f"Failed to create credential: missing --{missing[0]}")
    credential: Object = {"name": name, "provider": provider, "bucket": flags.get("bucket", "")}
    if provider == "azure":
        credential |= {"account": flags["azure-account-name"], "account_key": flags["azure-account-key"]}
    elif provider == "google":
        path = place.path(flags["google-json-key-file"])
        if not path.is_file():
            name_of_file = flags["google-json-key-file"]
            raise StorageError(f"Failed to create credential: open {name_of_file}: no such file or directory")
        credential |= {"account": flags["google-project-id"], "account_key": path.read_text()}
    else:
        credential |= {
            "access_key": flags["s3-access-key"],
            "secret_key": flags["s3-secret-key"],
            "region": flags["s3-region"],
            "endpoint": flags["s3-endpoint"],
            "disable_ssl": "s3-disable-ssl" in flags or "disable-ssl" in flags,
        }
    made = local.add_credential(credential)
    return f"Credentials created successfully, UUID:{made['id']}", {"uuid": made["id"]}


def _credentials(local: Storage) -> Answer:
    found = local.credentials
    s3 = [["UUID", "NAME", "REGION", "ENDPOINT", "ACCESS KEY", "SSL ENABLED", "ENCRYPTION"]]
    foreign = {
        "azure": [["UUID", "NAME", "ACCOUNT NAME", "ENCRYPTION", "BUCKET"]],
        "google": [["UUID", "NAME", "PROJECT ID", "ENCRYPTION", "BUCKET"]],
    }
    for each in found:
        if each["provider"] in foreign:
            row = [each["id"], each["name"], each["account"], "false", each["bucket"] or "<nil>"]
            foreign[each["provider"]].append(row)
            continue
        ssl = "false" if storage.endpoint_url(each).startswith("http://") else "true"
        s3.append([each["id"], each["name"], each["region"], each["endpoint"], each["access_key"], ssl, "false"])
    secret = ("secret_key", "account_key")
    shown = [{key: value for key, value in each.items() if key not in secret} for each in found]
    blocks = [
        f"\n{title} Credentials\n{_rows(rows)}"
        for title, rows in (("S3", s3), ("Google", foreign["google"]), ("Azure", foreign["azure"]))
        if len(rows) > 1
    ]
    return "\n".join(blocks) or "No credentials found", shown


def _pairs(local: Storage) -> Answer:
    rows = [["CLUSTER-ID", "NAME", "ENDPOINT", "CREDENTIAL-ID"]]
    for number, each in enumerate(local.pairs):
        default = " (default)" if number == 0 else ""
        rows.append([each["id"] + default, each["name"], each["endpoint"], each["credential"]])
    return _rows(rows), local.pairs


def _tasks(local: Storage) -> Answer:
    by_cluster: dict[str, list[Object]] = {}
    for each in local.tasks:
        by_cluster.setdefault(each["cluster"], []).append(each)
    blocks = []
    for cluster, tasks in by_cluster.items():
        rows = [["TASK-ID", "VOLUME-ID", "VOLUME-NAME", "STAGE", "STATUS", "LAST-UPDATE"]]
        for each in tasks:
            identity = str(10**17 + _digest(each["volume"]) % (9 * 10**17))
            rows.append([each["id"], identity, each["volume"], each["stage"], each["status"], each["updated"]])
        blocks.append(f"CLUSTER UUID: {cluster}\n{_rows(rows)}")
    return "\n\n".join(blocks) or "No migrations found", by_cluster
