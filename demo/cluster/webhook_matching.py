"""Which webhooks are asked about a request, and in which version of the API (plugin/webhook/generic, ShouldCallHook).

A rule may name another version of the same resource than the request came in (`matchPolicy`); conditions in CEL
(`matchConditions`) are looked at last, and a false one wins over any that has no value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from demo.cluster import authentication, cel, statuses
from demo.cluster.registry import ResourceInfo
from demo.cluster.selectors import matches

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
NAME_LABEL = "kubernetes.io/metadata.name"
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
# Resources that are served by two groups from one store.
COHABITING = {"events": "events.events.k8s.io", "events.events.k8s.io": "events"}
VARIABLES: dict[str, Any] = {"object": "dyn", "oldObject": "dyn", "request": cel.REQUEST}


class Request(NamedTuple):
    """What a webhook is asked about: `obj` is None for a deletion, `old` for a creation."""

    operation: str
    info: ResourceInfo
    obj: Object | None
    old: Object | None
    user: str
    dry_run: bool
    subresource: str = ""

    @property
    def metadata(self) -> Object:
        found: Object = (self.obj or self.old or {})["metadata"]
        return found

    def asked_as(self, info: ResourceInfo) -> Object:
        """The request of an AdmissionReview, for a webhook that knows the resource in this version; without uid."""
        asked: Object = {
            "kind": _kind(info),
            "resource": _resource(info),
            "requestKind": _kind(self.info),
            "requestResource": _resource(self.info),
            "name": self.metadata["name"],
            "operation": self.operation,
            "userInfo": {"username": self.user, "groups": list(authentication.named(self.user).groups)},
            "object": self.obj,
            "oldObject": self.old,
            "dryRun": self.dry_run,
            "options": {"kind": OPTIONS[self.operation], "apiVersion": "meta.k8s.io/v1"},
        }
        if self.subresource:
            asked |= {"subResource": self.subresource, "requestSubResource": self.subresource}
        if self.info.namespaced:
            asked["namespace"] = self.metadata["namespace"]
        return asked


def _kind(info: ResourceInfo) -> Object:
    return {"group": info.group, "version": info.version, "kind": info.kind}


def _resource(info: ResourceInfo) -> Object:
    return {"group": info.group, "version": info.version, "resource": info.plural}


def version_asked(api: ClusterAPI, webhook: Object, request: Request) -> ResourceInfo | None:
    """The version in which the webhook is asked about the request; None where it is not. Raises APIError."""
    info = _covered(api, webhook, request)
    if info is None or not _selects(api, webhook, request):
        return None
    return info if _meets(webhook, request, info) else None


def _covered(api: ClusterAPI, webhook: Object, request: Request) -> ResourceInfo | None:
    rules = webhook.get("rules") or ()
    if any(_covers(rule, request, request.info) for rule in rules):
        return request.info
    if webhook.get("matchPolicy") == "Exact":
        return None
    others = [each for each in api.registry.all() if _is_same(each, request.info) and each is not request.info]
    return next((each for rule in rules for each in others if _covers(rule, request, each)), None)


def _is_same(one: ResourceInfo, other: ResourceInfo) -> bool:
    return one.name == other.name or COHABITING.get(one.name) == other.name


def _covers(rule: Object, request: Request, info: ResourceInfo) -> bool:
    def has(name: str, *values: str) -> bool:
        return bool({"*", *values} & set(rule.get(name) or ()))

    scope = "Namespaced" if info.namespaced else "Cluster"
    sub = request.subresource
    wanted = {"*/*", f"{info.plural}/*", *({f"{info.plural}/{sub}", f"*/{sub}"} if sub else {info.plural, "*"})}
    return (
        has("operations", request.operation)
        and has("apiGroups", info.group)
        and has("apiVersions", info.version)
        and bool(wanted & set(rule.get("resources") or ()))
        and rule.get("scope", "*") in ("*", scope)
    )


def _selects(api: ClusterAPI, webhook: Object, request: Request) -> bool:
    objects = [each for each in (request.obj, request.old) if each]
    selector = webhook.get("objectSelector") or {}
    if not any(matches(selector, each["metadata"].get("labels") or {}) for each in objects):
        return False
    selector = webhook.get("namespaceSelector") or {}
    if request.info.name == "namespaces":
        labels = {**(request.metadata.get("labels") or {}), NAME_LABEL: request.metadata["name"]}
    elif request.info.namespaced:
        namespace = api.store.get("namespaces", "", request.metadata["namespace"])
        if namespace is None:
            return False
        labels = namespace["metadata"].get("labels") or {}
    else:
        return True
    return matches(selector, labels)


@lru_cache(256)
def program(expression: str) -> cel.Program:
    """The compiled condition. Raises CompileError."""
    return cel.compiled(expression, VARIABLES)


def _meets(webhook: Object, request: Request, info: ResourceInfo) -> bool:
    """Whether all conditions hold. Raises APIError where that has no answer, and the webhook must not fail."""
    conditions = webhook.get("matchConditions") or ()
    if not conditions:
        return True
    asked = request.asked_as(info)
    variables = {"object": request.obj, "oldObject": request.old, "request": asked}
    wrong = []
    for each in conditions:
        try:
            if not program(each["expression"]).evaluate(variables):
                return False
        except cel.EvaluationError as error:
            wrong.append(f"expression '{each['expression']}' resulted in error: {error}")
    if wrong and webhook.get("failurePolicy") != "Ignore":
        why = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        raise statuses.forbidden(request.info, request.metadata["name"], why)
    return not wrong
