"""ResourceTransformations: checked, tried in the source cluster itself, and carried out on what is migrated.

    "" → (kinds, operations and types can be) → InProgress → (a dry run of each object) → Ready | Failed

Both ends are final. As in Stork, the trial is made in a namespace of its own beside the source's objects, so that what
a cluster gives away once only (a node port) fails; a second path to one object is noted under that namespace; and what
Stork prepares by kind is left as it is, although the transformation names it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from demo.cluster import writes
from demo.cluster.api import APIError
from demo.cluster.controllers.loop import drop_finalizer, find
from demo.cluster.registry import ResourceInfo
from demo.portworx.collecting import KINDS, PREFIX
from demo.portworx.crds import resource
from demo.portworx.pace import RETRY_SECONDS
from demo.portworx.pairing import FINALIZER
from demo.portworx.preparing import without_addresses
from demo.portworx.recorder import Recorder

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
TRANSFORMATIONS = resource("resourcetransformations")
OPERATIONS = ("add", "modify", "delete")
TYPES = ("int", "string", "bool", "slice", "keypair")
MARK = PREFIX + "resourcetransformation-name"
PREPARED_BY_KIND = {"Deployment", "StatefulSet", "DeploymentConfig", "ReplicaSet", "CronJob", "PersistentVolume"}
SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


class TransformError(Exception):
    """The transformation cannot be as it is; the message is Stork's."""


async def reconcile(api: ClusterAPI, recorder: Recorder, namespace: str, name: str) -> float | None:
    """One step for one transformation; the seconds until the next."""
    found = find(api, TRANSFORMATIONS, namespace, name)
    if found is None:
        return None
    if "deletionTimestamp" in found["metadata"]:
        drop_finalizer(api, TRANSFORMATIONS, found, FINALIZER)
        return None
    state = (found.get("status") or {}).get("status", "")
    if state in ("Ready", "Failed"):
        return None
    if FINALIZER not in (found["metadata"].get("finalizers") or ()):
        found["metadata"].setdefault("finalizers", []).append(FINALIZER)
        found = api.update(TRANSFORMATIONS, found)
    specs = (found.get("specs") or {}).get("transformSpecs") or []
    try:
        if state == "":
            problem = "Unsupported resource for resource transformation found"
            _check(specs)
            status: Object = {"status": "InProgress", "resources": []}
        else:
            problem = "Error validating resource transformation specs"
            tried = [entry for spec in specs for entry in _tried(api, spec, namespace)]
            failed = any(each["status"] != "Ready" for each in tried)
            status = {"status": "Failed" if failed else "Ready", "resources": tried}
    except TransformError as error:
        recorder.warning(found, "Failed", f"{problem}: {error}")
        status = {"status": "Failed", "resources": []}
    api.update(TRANSFORMATIONS, {**found, "status": status})
    return RETRY_SECONDS if status["status"] == "InProgress" else None


def _check(specs: list[Object]) -> None:
    """Raises TransformError."""
    for spec in specs:
        kind = _parts(spec)[2]
        if kind not in KINDS:
            raise TransformError(f"unsupported resource kind for transformation: {kind}")
        for each in spec.get("paths") or ():
            operation = each.get("operation", "")
            if operation == "jsonpatch":
                raise TransformError(f"json patch for resources is not supported, operation: {operation}")
            if operation not in OPERATIONS:
                raise TransformError(
                    f"unsupported resource patch operation given for kind :{kind}, operation: {operation}"
                )
            if each.get("type", "") not in TYPES:
                raise TransformError(
                    f"unsupported type for resource {kind}, path {each.get('path', '')}, type: {each.get('type', '')}"
                )


def _parts(spec: Object) -> tuple[str, str, str]:
    given = str(spec.get("resource", ""))
    parts = given.split("/")
    if len(parts) != 3:
        raise TransformError(f"invalid resource kind :{given}")
    return parts[0], parts[1], parts[2]


def _tried(api: ClusterAPI, spec: Object, namespace: str) -> list[Object]:
    """What became of a dry run of each object and path. Raises TransformError."""
    group, version, kind = _parts(spec)
    info = api.registry.by_kind(f"{group}/{version}" if group else version, kind)
    if info is None:
        raise TransformError(f'no matches for kind "{kind}" in version "{group}/{version}"')
    objects = [copy.deepcopy(each) for each in api.list(info.name, namespace, spec.get("selectors") or {})]
    trial = f"stork-transform-{namespace}"
    if find(api, "namespaces", None, trial) is None:
        api.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": trial}})
    found = []
    for path in spec.get("paths") or ():
        for each in objects:
            entry = {
                "name": each["metadata"]["name"],
                "namespace": each["metadata"]["namespace"],
                "group": group,
                "version": version,
                "kind": kind,
                "specs": spec,
            }
            each["metadata"]["namespace"] = trial
            found.append({**entry, **_outcome(api, info, each, path)})
    return found


def _outcome(api: ClusterAPI, info: ResourceInfo, obj: Object, path: Object) -> Object:
    try:
        _carry_out(obj, path)
        kept = {key: value for key, value in obj["metadata"].items() if key not in SERVERS_OWN}
        made = {**copy.deepcopy(obj), "metadata": kept, "apiVersion": info.api_version, "kind": info.kind}
        if info.kind == "Service":
            without_addresses(made)
        writes.create(api, info, made, dry_run=True)
    except (TransformError, APIError) as refusal:
        return {"status": "Failed", "reason": str(refusal)}
    return {"status": "Ready", "reason": ""}


def transform(api: ClusterAPI, info: ResourceInfo, obj: Object, names: list[str]) -> str:
    """Carry out what the transformations have for the object, in place; the name of the one that did, or empty.

    Only objects that were there when a transformation was tried are among its own.
    """
    if info.kind in PREPARED_BY_KIND:
        return ""
    namespace = obj["metadata"].get("namespace", "")
    at = (info.group, info.kind, namespace, obj["metadata"]["name"])
    for name in names:
        found = find(api, TRANSFORMATIONS, namespace, name) or {}
        tried = (found.get("status") or {}).get("resources") or ()
        mine = [each for each in tried if (each["group"], each["kind"], each["namespace"], each["name"]) == at]
        if mine:
            for path in mine[0]["specs"].get("paths") or ():
                _carry_out(obj, path)
            obj["metadata"].setdefault("annotations", {})[MARK] = "true"
            return name
    return ""


def _carry_out(obj: Object, path: Object) -> None:
    """Raises TransformError."""
    *steps, last = str(path["path"]).split(".")
    place: Any = obj
    for step in steps:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise TransformError(f"value cannot be set because {path['path']} is not a map[string]interface{{}}")
    if path["operation"] == "delete":
        place.pop(last, None)
        return
    value = _value(path)
    present = place.get(last)
    if path["operation"] == "modify" and path["type"] == "keypair":
        if not present:
            raise TransformError(f"unable to find spec path, err: {path['path']} not found")
        value = {**present, **value}
    elif path["operation"] == "modify" and path["type"] == "slice":
        value = [*(present or ()), *value]
    place[last] = value


def _value(path: Object) -> Any:
    given = str(path.get("value", ""))
    match path["type"]:
        case "int":
            return int(given)
        case "bool":
            return given == "true"
        case "slice":
            return given.split(",")
        case "keypair":
            return dict(each.split(":", 1) for each in given.split(","))
    return given
