"""Role-based access control: who may do what, and the reviews that answer that question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.cluster.authentication import MASTERS, User

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Rule = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
# What everybody who is authenticated may do (system:basic-user, system:discovery).
BASIC = [
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
]
OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")
DISCOVERY_PATHS = ("/api", "/apis", "/openapi")


class Attributes(NamedTuple):
    """One thing to do. `resource` may have a subresource: `pods/log`."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


def rules_of(api: ClusterAPI, user: User, namespace: str) -> Iterator[Rule]:
    """Every rule that holds for the user in the namespace."""
    yield from BASIC
    for binding in api.store.objects(f"clusterrolebindings.{GROUP}"):
        if _is_subject(binding, user, ""):
            yield from _role_rules(api, binding["roleRef"], "")
    if namespace:
        for binding in api.store.objects(f"rolebindings.{GROUP}", namespace):
            if _is_subject(binding, user, namespace):
                yield from _role_rules(api, binding["roleRef"], namespace)


def _is_subject(binding: dict[str, Any], user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or ():
        match subject.get("kind"):
            case "User":
                if subject["name"] == user.name:
                    return True
            case "Group":
                if subject["name"] in user.groups:
                    return True
            case "ServiceAccount":
                if user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}":
                    return True
    return False


def _role_rules(api: ClusterAPI, reference: dict[str, Any], namespace: str) -> list[Rule]:
    if reference["kind"] == "ClusterRole":
        role = api.store.get(f"clusterroles.{GROUP}", "", reference["name"])
    else:
        role = api.store.get(f"roles.{GROUP}", namespace, reference["name"])
    return list((role or {}).get("rules") or ())


def _covers(rule: Rule, wanted: Attributes) -> bool:
    resources = rule.get("resources") or ()
    subresource = wanted.resource.partition("/")[2]
    named = "*" in resources or wanted.resource in resources or (bool(subresource) and f"*/{subresource}" in resources)
    names = rule.get("resourceNames") or ()
    return (
        named
        and ("*" in rule["verbs"] or wanted.verb in rule["verbs"])
        and ("*" in (rule.get("apiGroups") or ()) or wanted.group in (rule.get("apiGroups") or ()))
        and (not names or wanted.name in names)
    )


def allowed(api: ClusterAPI, user: User, wanted: Attributes) -> bool:
    if MASTERS in user.groups:
        return True
    return any(_covers(rule, wanted) for rule in rules_of(api, user, wanted.namespace))


def path_allowed(user: User, path: str) -> bool:
    """Whether the user may read a path that is no resource."""
    if MASTERS in user.groups or path.startswith(OPEN_PATHS):
        return True
    return not user.is_anonymous and path.startswith(DISCOVERY_PATHS)


def refusal(user: User, wanted: Attributes) -> str:
    """Why not, as the real authorizer says it."""
    resource, _slash, _sub = wanted.resource.partition("/")
    scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    del resource
    return f'User "{user.name}" cannot {wanted.verb} resource "{wanted.resource}" in API group "{wanted.group}" {scope}'


def reason(api: ClusterAPI, user: User, wanted: Attributes) -> str:
    """Which binding allows it, as the real authorizer says it; empty for the cluster's masters."""
    for kind, namespace in (("ClusterRoleBinding", ""), ("RoleBinding", wanted.namespace)):
        resource = f"{kind.lower()}s.{GROUP}"
        for binding in (
            api.store.objects(resource, namespace or None) if kind == "ClusterRoleBinding" or namespace else ()
        ):
            if not _is_subject(binding, user, namespace):
                continue
            if any(_covers(rule, wanted) for rule in _role_rules(api, binding["roleRef"], namespace)):
                place = f"{binding['metadata']['name']}/{namespace}" if namespace else binding["metadata"]["name"]
                role = binding["roleRef"]
                subject = f'User "{user.name}"'
                if user.name.startswith("system:serviceaccount:"):
                    _system, _kind, home, name = user.name.split(":", 3)
                    subject = f'ServiceAccount "{name}/{home}"'
                return f'RBAC: allowed by {kind} "{place}" of {role["kind"]} "{role["name"]}" to {subject}'
    return ""
