"""CustomResourceDefinitions: their own rules, what they make the cluster serve, and their end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from demo.cluster import ownership, statuses
from demo.cluster.registry import Registry, ResourceInfo
from demo.cluster.statuses import Cause, required
from demo.cluster.times import now

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CLEAN_UP = "customresourcecleanup.apiextensions.k8s.io"
# What the API server calls itself where it writes.
SERVER = "kas"


def prepare(obj: Object) -> None:
    """What the server completes in a new definition."""
    spec = obj["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    stored = [each["name"] for each in spec["versions"] if each.get("storage")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def check(info: ResourceInfo, obj: Object) -> None:
    """A definition's own rules. Raises APIError."""
    spec, name = obj.get("spec", {}), obj["metadata"]["name"]
    plural, group = spec.get("names", {}).get("plural", ""), spec.get("group", "")
    causes = []
    if name != f"{plural}.{group}":
        shown = json.dumps(name)
        message = f'Invalid value: {shown}: must be spec.names.plural+"."+spec.group'
        causes.append(Cause("FieldValueInvalid", "metadata.name", message))
    if not spec.get("versions"):
        causes.append(required("spec.versions"))
    if causes:
        raise statuses.invalid(info, name, causes)


def serve(registry: Registry, crd: Object) -> None:
    """Add what the definition defines, at each served version, newest first."""
    spec = crd["spec"]
    names = spec["names"]
    registry.remove(spec["group"], names["plural"])
    for version in sorted(spec["versions"], key=lambda each: not each.get("storage")):
        if not version.get("served"):
            continue
        kind = names["kind"]
        subresources: dict[str, Object] = {}
        for name, response in (("status", kind), ("scale", "Scale")):
            if name in (version.get("subresources") or {}):
                subresources[name] = {
                    "subresource": name,
                    "responseKind": {"group": "", "version": "", "kind": response},
                    "verbs": ["get", "patch", "update"],
                }
        registry.add(
            ResourceInfo(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                singular=names.get("singular", kind.lower()),
                kind=kind,
                namespaced=spec["scope"] == "Namespaced",
                verbs=("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"),
                short_names=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                subresources=subresources,
                custom=version,
            )
        )


def noticed(api: ClusterAPI, info: ResourceInfo, obj: Object, *, deleted: bool = False) -> None:
    """Called after each write: a changed definition changes what is served, and the last object lets its kind go."""
    if info.custom is not None and deleted:
        definition = api.store.get(CRDS, "", info.name)
        if definition is not None and "deletionTimestamp" in definition["metadata"]:
            clean_up(api, definition)
        return
    if info.name != CRDS:
        return
    if deleted:
        api.registry.remove(obj["spec"]["group"], obj["spec"]["names"]["plural"])
        return
    serve(api.registry, obj)
    if not (obj.get("status") or {}).get("conditions"):
        _establish(api, info, obj)


def _condition(type: str, reason: str, message: str) -> Object:
    moment = now()
    return {"type": type, "status": "True", "lastTransitionTime": moment, "reason": reason, "message": message}


def _establish(api: ClusterAPI, info: ResourceInfo, crd: Object) -> None:
    status = {
        "conditions": [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": crd["spec"]["names"],
        "storedVersions": crd["status"]["storedVersions"],
    }
    changed = {**crd, "status": status, "metadata": dict(crd["metadata"])}
    changed["metadata"]["managedFields"] = ownership.after_update(info, crd, changed, SERVER, "status")
    api.store.write("MODIFIED", CRDS, changed)


def mark(api: ClusterAPI, old: Object, *, dry_run: bool) -> Object:
    """The definition marked for deletion; it goes once its objects have gone."""
    pending = _condition(
        "Terminating",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    )
    finalizers = [*old["metadata"].get("finalizers", ()), CLEAN_UP]
    metadata = {**old["metadata"], "deletionTimestamp": now(), "finalizers": finalizers}
    status = {**old["status"], "conditions": [*old["status"]["conditions"], pending]}
    marked = {**old, "metadata": metadata, "status": status}
    return marked if dry_run else api.store.write("MODIFIED", CRDS, marked)


def clean_up(api: ClusterAPI, crd: Object) -> None:
    """Let the definition go if no object of its kind is left and nobody else holds it."""
    name = crd["metadata"]["name"]
    found = api.store.get(CRDS, "", name)
    if found is None or next(iter(api.store.objects(name)), None) is not None:
        return
    finalizers = [each for each in found["metadata"]["finalizers"] if each != CLEAN_UP]
    changed = {**found, "metadata": {**found["metadata"], "finalizers": finalizers}}
    if finalizers:
        api.store.write("MODIFIED", CRDS, changed)
        return
    gone = api.store.write("DELETED", CRDS, changed)
    noticed(api, api.registry.named(CRDS), gone, deleted=True)
