"""Who manages which field after a write: the managedFields of created and updated objects."""

from __future__ import annotations

from typing import Any

from demo.cluster import managed_fields as managers
from demo.cluster.decoding import schema_of
from demo.cluster.registry import ResourceInfo
from demo.cluster.times import now

Object = dict[str, Any]


def entry(manager: str, operation: str, info: ResourceInfo, owned: set[managers.Path], subresource: str = "") -> Object:
    """One entry of managedFields."""
    made: Object = {
        "manager": manager,
        "operation": operation,
        "apiVersion": info.api_version,
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": managers.encode(owned),
    }
    if subresource:
        made["subresource"] = subresource
    return made


def ordered(entries: list[Object]) -> list[Object]:
    """As the real server keeps them: those of server-side apply first, then by time and manager."""
    return sorted(entries, key=lambda each: (each["operation"] != "Apply", each.get("time", ""), each["manager"]))


def _containers(info: ResourceInfo) -> str:
    return "optional" if info.custom is None else "all"


def after_create(info: ResourceInfo, obj: Object, manager: str) -> list[Object]:
    """The entries of an object that was created by POST."""
    body = {key: value for key, value in obj.items() if key != "status" or not info.has_status}
    owned = managers.paths(body, schema_of(info), containers=_containers(info))
    return [entry(manager, "Update", info, owned)] if owned else []


def after_update(info: ResourceInfo, old: Object, new: Object, manager: str, subresource: str | None) -> list[Object]:
    """The entries after an update: what it changed moves to the updating manager. Those that it gives are the base."""
    node, containers, part = schema_of(info), _containers(info), subresource or ""
    # What is the same in both concerns nobody.
    parts = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    before, after = (
        managers.values({name: obj[name] for name in parts if name in obj}, node, containers=containers)
        for obj in (old, new)
    )
    changed = {path for path, value in after.items() if _differs(before, path, value)}
    gone = before.keys() - after.keys()
    taken = {path for path in changed if after[path] is not managers.CONTAINER}
    entries: list[Object] = []
    mine: set[managers.Path] = set()
    previous: Object | None = None
    for each in new["metadata"].get("managedFields") or ():
        if not each:
            # [{}] takes the object from everybody.
            continue
        owned = managers.decode(each["fieldsV1"])
        if (each["manager"], each["operation"], each.get("subresource", "")) == (manager, "Update", part):
            mine, previous = owned - gone, each
            continue
        left = owned - gone - taken
        if left == owned:
            entries.append(each)
        elif left:
            entries.append({**each, "fieldsV1": managers.encode(left)})
    mine |= changed
    if mine:
        made = entry(manager, "Update", info, mine, part)
        entries.append(previous if previous and previous["fieldsV1"] == made["fieldsV1"] else made)
    return ordered(entries)


def without(entries: list[Object], paths: frozenset[managers.Path]) -> list[Object]:
    """The entries with these paths taken from everybody."""
    left = []
    for each in entries:
        owned = managers.decode(each["fieldsV1"])
        if not owned & paths:
            left.append(each)
        elif owned - paths:
            left.append({**each, "fieldsV1": managers.encode(owned - paths)})
    return left


def _differs(before: dict[managers.Path, Any], path: managers.Path, value: Any) -> bool:
    if path not in before:
        return True
    old = before[path]
    return old is not managers.CONTAINER and value is not managers.CONTAINER and bool(old != value)
