"""What is answered and never stored: access reviews, rules reviews, token requests and reviews, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster import managed_fields, rbac, statuses
from demo.cluster.authentication import User
from demo.cluster.decoding import schema_of
from demo.cluster.registry import ResourceInfo
from demo.cluster.times import later, now

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
OPEN_URLS = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
NON_RESOURCE_RULES = [
    {
        "verbs": ["get"],
        "nonResourceURLs": [
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version",
            "/version/",
        ],
    },
    {"verbs": ["get"], "nonResourceURLs": OPEN_URLS},
    {
        "verbs": ["get"],
        "nonResourceURLs": [
            "/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks",
            "/openid/v1/jwks/",
        ],
    },
    {"verbs": ["get"], "nonResourceURLs": ["/.well-known", "/.well-known/*"]},
]  # fmt: skip


def answer(api: ClusterAPI, info: ResourceInfo, user: User, body: Object, manager: str) -> Object:
    """The answered review. Raises APIError for one that is not served."""
    head: Object = {"kind": info.kind, "apiVersion": info.api_version, "metadata": {}}
    spec = body.get("spec") or {}
    match info.plural:
        case "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews":
            asked = user
            if info.plural != "selfsubjectaccessreviews":
                asked = User(spec.get("user", ""), tuple(spec.get("groups", ())))
            owned = managed_fields.paths({"spec": spec}, schema_of(info), containers="optional")
            head["metadata"] = {
                "managedFields": [
                    {
                        "manager": manager,
                        "operation": "Update",
                        "apiVersion": info.api_version,
                        "time": now(),
                        "fieldsType": "FieldsV1",
                        "fieldsV1": managed_fields.encode(owned),
                    }
                ]
            }
            return {**head, "spec": spec, "status": _access(api, asked, spec)}
        case "selfsubjectrulesreviews":
            rules = [
                {key: rule[key] for key in ("verbs", "apiGroups", "resources", "resourceNames") if key in rule}
                for rule in _rules(api, user, spec.get("namespace", ""))
            ]
            status = {"resourceRules": rules, "nonResourceRules": NON_RESOURCE_RULES, "incomplete": False}
            return {**head, "spec": {}, "status": status}
        case "selfsubjectreviews":
            head["metadata"] = {"creationTimestamp": now()}
            return {**head, "status": {"userInfo": _user_info(api, user)}}
        case "tokenreviews":
            found = api.tokens.user(spec.get("token", ""))
            status = {"user": {}} if found is None else {"authenticated": True, "user": _user_info(api, found)}
            return {**head, "spec": spec, "status": status}
    raise statuses.method_not_allowed()


def _user_info(api: ClusterAPI, user: User) -> Object:
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.name.startswith("system:serviceaccount:"):
        _system, _kind, namespace, name = user.name.split(":", 3)
        account = api.store.get("serviceaccounts", namespace, name)
        if account:
            info["uid"] = account["metadata"]["uid"]
        info["extra"] = {"authentication.kubernetes.io/credential-id": ["JTI=simulated"]}
    return info


def _rules(api: ClusterAPI, user: User, namespace: str) -> list[Object]:
    if rbac.MASTERS in user.groups:
        return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    return list(rbac.rules_of(api, user, namespace))


def _access(api: ClusterAPI, user: User, spec: Object) -> Object:
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        path = (spec.get("nonResourceAttributes") or {}).get("path", "")
        return {"allowed": rbac.path_allowed(user, path)}
    resource = wanted.get("resource", "") + (f"/{wanted['subresource']}" if wanted.get("subresource") else "")
    attributes = rbac.Attributes(
        wanted.get("verb", ""), wanted.get("group", ""), resource, wanted.get("namespace", ""), wanted.get("name", "")
    )
    if not rbac.allowed(api, user, attributes):
        return {"allowed": False}
    return {"allowed": True, "reason": rbac.reason(api, user, attributes)}


def token_request(api: ClusterAPI, namespace: str, name: str, body: Object) -> Object:
    """A token for a ServiceAccount (TokenRequest)."""
    account = api.store.get("serviceaccounts", namespace, name)
    if account is None:
        raise statuses.not_found(api.info("serviceaccounts"), name)
    seconds = int((body.get("spec") or {}).get("expirationSeconds") or 3600)
    version = "authentication.k8s.io/v1"
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": account["metadata"]["uid"],
        "creationTimestamp": now(),
        "managedFields": [
            {
                "manager": "unknown",
                "operation": "Update",
                "apiVersion": version,
                "time": now(),
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:expirationSeconds": {}}},
                "subresource": "token",
            }
        ],
    }
    audiences = (body.get("spec") or {}).get("audiences") or ["https://kubernetes.default.svc.cluster.local"]
    return {
        "kind": "TokenRequest",
        "apiVersion": version,
        "metadata": metadata,
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": None},
        "status": {
            "token": api.tokens.issue(f"system:serviceaccount:{namespace}:{name}", seconds),
            "expirationTimestamp": later(seconds),
        },
    }
