"""Server-side apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster import managed_fields as managers
from demo.cluster import ownership, schemas, statuses, writes
from demo.cluster.decoding import schema_of
from demo.cluster.registry import ResourceInfo

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]


def apply(
    api: ClusterAPI,
    info: ResourceInfo,
    obj: Object,
    *,
    namespace: str,
    name: str,
    manager: str,
    force: bool = False,
    dry_run: bool = False,
    user: str = "",
    warnings: list[str] | None = None,
) -> tuple[Object, bool]:
    """The object afterwards, and whether it was created; `warnings` as in `writes`. Raises APIError."""
    old = api.store.get(info.name, namespace, name)
    metadata = {**(obj.get("metadata") or {}), "name": name}
    if info.namespaced:
        metadata["namespace"] = namespace
    obj = {**obj, "metadata": metadata}
    node = schema_of(info)
    intent = {key: value for key, value in obj.items() if key != "status" or not info.has_status}
    wanted = managers.values(intent, node)
    mine = ownership.entry(manager, "Apply", info, set(wanted))
    if old is None:
        if uid := metadata.get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise statuses.conflict(info, name, why)
        created = writes.create(
            api,
            info,
            obj,
            namespace=namespace,
            user=user,
            manager=manager,
            dry_run=dry_run,
            owned=[mine],
            warnings=warnings,
        )
        return created, True
    entries = list(old["metadata"].get("managedFields") or ())
    previous = next((each for each in entries if _is_of(each, manager)), None)
    others = [each for each in entries if each is not previous]
    conflicts = _conflicts(old, wanted, others, node)
    if conflicts and not force:
        raise _refusal(conflicts)
    merged = managers.merged(old, intent, node)
    if previous is not None:
        merged = _without_dropped(merged, managers.decode(previous["fieldsV1"]), set(wanted), others, node)
        if previous["fieldsV1"] == mine["fieldsV1"]:
            mine = previous
    kept = _without_lost(others, conflicts)
    merged["metadata"] = {**merged["metadata"], "managedFields": ownership.ordered([mine, *kept] if wanted else kept)}
    if "resourceVersion" not in metadata:
        merged["metadata"].pop("resourceVersion", None)
    done = writes.update(api, info, merged, user=user, manager=manager, dry_run=dry_run, track=False, warnings=warnings)
    return done, False


def _is_of(entry: Object, manager: str) -> bool:
    return entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource")


Conflict = tuple[Object, managers.Path]


def _conflicts(
    old: Object, wanted: dict[managers.Path, Any], others: list[Object], node: schemas.Node | None
) -> list[Conflict]:
    """Fields that the others manage and that are to be something else."""
    found: list[Conflict] = []
    for entry in others:
        for path in sorted(managers.decode(entry["fieldsV1"]) & wanted.keys()):
            value = wanted[path]
            if value is not managers.CONTAINER and managers.value_at(old, path, node) != value:
                found.append((entry, path))
    return found


def _without_dropped(
    merged: Object, had: set[managers.Path], wanted: set[managers.Path], others: list[Object], node: schemas.Node | None
) -> Object:
    """The object without what its applier no longer wants and nobody else manages."""
    held = set(wanted)
    for entry in others:
        held |= managers.decode(entry["fieldsV1"])
    needed = {path[:length] for path in held for length in range(1, len(path) + 1)}
    for path in sorted(had - needed, key=len, reverse=True):
        merged = managers.remove(merged, path, node)
    return merged


def _without_lost(others: list[Object], conflicts: list[Conflict]) -> list[Object]:
    """The others' entries without the fields that were taken from them by force."""
    kept = []
    for entry in others:
        lost = {path for owner, path in conflicts if owner is entry}
        left = managers.decode(entry["fieldsV1"]) - lost
        if left:
            kept.append({**entry, "fieldsV1": managers.encode(left)} if lost else entry)
    return kept


def _refusal(conflicts: list[Conflict]) -> statuses.APIError:
    def said(entry: Object) -> str:
        text = f'conflict with "{entry["manager"]}"'
        if entry.get("subresource"):
            text += f' with subresource "{entry["subresource"]}"'
        if entry["operation"] == "Update":
            text += f" using {entry['apiVersion']}"
        return text

    listed = sorted({(said(entry), managers.readable(path)) for entry, path in conflicts})
    causes = [{"reason": "FieldManagerConflict", "message": text, "field": field} for text, field in listed]
    if len(listed) == 1:
        message = f"Apply failed with 1 conflict: {listed[0][0]}: {listed[0][1]}"
    else:
        groups: dict[str, list[str]] = {}
        for text, field in listed:
            groups.setdefault(text, []).append(field)
        parts = []
        for text, fields in groups.items():
            plural = text.replace("conflict with", "conflicts with") if len(fields) > 1 else text
            parts.append(
                plural + (":\n" + "\n".join(f"- {field}" for field in fields) if len(fields) > 1 else f": {fields[0]}")
            )
        message = f"Apply failed with {len(listed)} conflicts: " + "\n".join(parts)
    return statuses.APIError(409, "Conflict", message, {"causes": causes})
