"""What the API refuses: the common rules of every kind, and the ones that users meet, in Kubernetes' words."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Any

from demo.cluster import webhook_configurations
from demo.cluster.statuses import Cause, invalid_value, required

Object = dict[str, Any]
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
NOT_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NOT_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NOT_LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
# Kinds whose names are path segments only: anything without '/' and '%'.
FREE_NAMES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
SERVICE_NETWORK = ipaddress.ip_network("10.96.0.0/16")


def name(kind: str, text: str) -> list[Cause]:
    if kind in FREE_NAMES:
        return []
    quoted = json.dumps(text, ensure_ascii=False)
    if kind == "Namespace":
        return [] if LABEL.fullmatch(text) and len(text) <= 63 else [invalid_value("metadata.name", quoted, NOT_LABEL)]
    if kind == "Service":
        if LABEL_1035.fullmatch(text) and len(text) <= 63:
            return []
        return [invalid_value("metadata.name", quoted, NOT_LABEL_1035)]
    if SUBDOMAIN.fullmatch(text) and len(text) <= 253:
        return []
    return [invalid_value("metadata.name", quoted, NOT_SUBDOMAIN)]


def _pod_spec(spec: Object, at: str, claims: list[Object] | None = None) -> list[Cause]:
    """`claims` are the claim templates of a StatefulSet, whose names can be mounted like volumes."""
    if not spec.get("containers"):
        return [required(f"{at}.containers")]
    causes = []
    for index, each in enumerate(spec["containers"]):
        if not each.get("name"):
            causes.append(required(f"{at}.containers[{index}].name"))
        if not each.get("image"):
            causes.append(required(f"{at}.containers[{index}].image"))
        known = {volume["name"] for volume in spec.get("volumes", ())}
        known |= {claim["metadata"]["name"] for claim in claims or ()}
        for use in ("volumeMounts", "volumeDevices"):
            for place, mount in enumerate(each.get(use, ())):
                if mount.get("name") not in known and not mount.get("name", "").startswith("kube-api-access-"):
                    field = f"{at}.containers[{index}].{use}[{place}].name"
                    causes.append(Cause("FieldValueNotFound", field, f"Not found: {json.dumps(mount.get('name'))}"))
    return causes


def workload(obj: Object) -> list[Cause]:
    spec = obj.get("spec", {})
    template = spec.get("template", {})
    causes = []
    selector = spec.get("selector")
    found = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        causes.append(required("spec.selector"))
    else:
        wanted = selector.get("matchLabels") or {}
        if any(found.get(key) != value for key, value in wanted.items()):
            shown = json.dumps(found, separators=(",", ":"), sort_keys=True)
            detail = "`selector` does not match template `labels`"
            causes.append(invalid_value("spec.template.metadata.labels", shown, detail))
    return causes + _pod_spec(template.get("spec", {}), "spec.template.spec", spec.get("volumeClaimTemplates"))


def templated(obj: Object) -> list[Cause]:
    return _pod_spec(obj["spec"].get("template", {}).get("spec", {}), "spec.template.spec")


def pod(obj: Object) -> list[Cause]:
    return _pod_spec(obj["spec"], "spec")


def claim(obj: Object) -> list[Cause]:
    spec = obj.get("spec", {})
    causes = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    if "storage" not in (spec.get("resources") or {}).get("requests", {}):
        causes.append(required("spec.resources[storage]"))
    return causes


def service(obj: Object) -> list[Cause]:
    spec = obj.get("spec", {})
    causes = []
    if not spec.get("ports") and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    return causes


VALIDATORS: dict[str, Callable[[Object], list[Cause]]] = {
    "deployments.apps": workload,
    "statefulsets.apps": workload,
    "daemonsets.apps": workload,
    "jobs.batch": templated,
    "pods": pod,
    "persistentvolumeclaims": claim,
    "services": service,
    webhook_configurations.MUTATING: webhook_configurations.check,
    webhook_configurations.VALIDATING: webhook_configurations.check,
}


def immutable(resource: str, old: Object, new: Object) -> list[Cause]:
    """Changes of what may not change."""
    match resource:
        case "deployments.apps" | "daemonsets.apps":
            return _same(old, new, "selector", "field is immutable")
        case "jobs.batch":
            fields = ("completions", "selector", "template", "completionMode")
            return [cause for field in fields for cause in _same(old, new, field, "field is immutable")]
        case "statefulsets.apps":
            return _only_free(old, new, STATEFUL_SET_FREE, NOT_OF_STATEFUL_SET)
        case "pods":
            return _pod_changes(old, new)
        case "persistentvolumeclaims":
            return _claim_changes(old, new)
        case "secrets" | "configmaps":
            if old.get("immutable") and any(
                old.get(field) != new.get(field) for field in ("data", "binaryData", "immutable")
            ):
                return [Cause("FieldValueForbidden", "data", "Forbidden: field is immutable when `immutable` is set")]
            if resource == "secrets" and old.get("type") != new.get("type"):
                return [invalid_value("type", json.dumps(new.get("type")), "field is immutable")]
        case "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io":
            if old.get("roleRef") != new.get("roleRef"):
                shown = json.dumps(new.get("roleRef"), separators=(",", ":"))
                return [invalid_value("roleRef", shown, "cannot change roleRef")]
        case "services":
            was, now = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
            if was and now != was and new["spec"].get("type") != "ExternalName":
                shown = json.dumps([now] if now else [])
                return [invalid_value("spec.clusterIPs[0]", shown, "may not change once set")]
        case "storageclasses.storage.k8s.io":
            return [
                Cause("FieldValueForbidden", field, f"Forbidden: updates to {field} are forbidden.")
                for field in ("parameters", "provisioner", "reclaimPolicy")
                if old.get(field) != new.get(field)
            ]
    return []


STATEFUL_SET_FREE = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip
NOT_OF_STATEFUL_SET = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "
    "and 'minReadySeconds' are forbidden"
)
NOT_OF_POD = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _only_free(old: Object, new: Object, free: set[str], detail: str) -> list[Cause]:
    was = {key: value for key, value in old["spec"].items() if key not in free}
    now = {key: value for key, value in new["spec"].items() if key not in free}
    return [] if was == now else [Cause("FieldValueForbidden", "spec", detail)]


def _pod_changes(old: Object, new: Object) -> list[Cause]:
    def fixed(spec: Object) -> Object:
        kept = {key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations")}
        for name in ("containers", "initContainers"):
            if name in kept:
                kept[name] = [{key: value for key, value in each.items() if key != "image"} for each in kept[name]]
        return kept

    if fixed(old["spec"]) == fixed(new["spec"]):
        return []
    return [Cause("FieldValueForbidden", "spec", NOT_OF_POD)]


def _same(old: Object, new: Object, field: str, detail: str) -> list[Cause]:
    if old["spec"].get(field) == new["spec"].get(field):
        return []
    return [invalid_value(f"spec.{field}", json.dumps(new["spec"].get(field), separators=(",", ":")), detail)]


def _claim_changes(old: Object, new: Object) -> list[Cause]:
    free = {"resources", "volumeName", "volumeAttributesClassName"}
    was = {key: value for key, value in old["spec"].items() if key not in free}
    now = {key: value for key, value in new["spec"].items() if key not in free}
    moved = old["spec"].get("volumeName") and old["spec"].get("volumeName") != new["spec"].get("volumeName")
    if was == now and not moved:
        return []
    return [
        Cause(
            "FieldValueForbidden",
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims",
        )
    ]
