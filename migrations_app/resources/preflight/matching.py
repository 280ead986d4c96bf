"""Which objects webhooks and policies are asked about, as their rules and selectors say (plugin/webhook/generic).

Conditions in CEL (`matchConditions`) are not evaluated: what has some may be asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusters.texts import said
from migrations_app.resources.marks import labels_of
from migrations_app.resources.preflight.context import Context, label
from migrations_app.resources.references import items, section
from migrations_app.resources.selection import LabelSelector

Object = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"


def coming(context: Context) -> Iterator[tuple[str, Object]]:
    """What is made on the destination, with how it is called: the objects, and the pods that their workloads start."""
    for obj in context.planned:
        yield label(obj), obj
    for workload in context.workloads:
        if workload.kind != "Pod" and workload.starts:
            metadata = {"namespace": workload.namespace, "labels": workload.labels}
            yield (
                said("pods of {workload}", workload=workload),
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata},
            )


def concerns(context: Context, matching: Object, obj: Object) -> bool:
    """Whether a webhook, or a policy's constraints, are about the making of the object; conditions aside.

    `matching` has rules, selectors and matchPolicy as a webhook does; `excludeRules` are a policy's.
    """
    if not _covered(context, matching, items(matching, "rules"), obj):
        return False
    if _covered(context, matching, items(matching, "excludeRules"), obj):
        return False
    if not LabelSelector.from_object(section(matching, "objectSelector")).matches(labels_of(obj)):
        return False
    selector = LabelSelector.from_object(section(matching, "namespaceSelector"))
    if obj["kind"] == "Namespace" and obj["apiVersion"] == "v1":
        return selector.matches({**labels_of(obj), NAME_LABEL: obj["metadata"]["name"]})
    namespace = obj["metadata"].get("namespace")
    if not namespace:
        return True
    found = context.namespaces.get(namespace, {"metadata": {}})
    return selector.matches({**labels_of(found), NAME_LABEL: namespace})


def has_conditions(matching: Object) -> bool:
    """Whether it is asked only where conditions hold that nobody but the API server evaluates."""
    return bool(items(matching, "matchConditions"))


def _covered(context: Context, matching: Object, rules: list[Object], obj: Object) -> bool:
    """Whether a rule names the kind, in the version that it comes in or, unless it is to be exact, in another one."""
    group, _slash, version = obj["apiVersion"].rpartition("/")
    versions = [version]
    if matching.get("matchPolicy") != "Exact":
        versions += context.discovery.versions_of(group, obj["kind"])
    resource = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    plural = resource.plural if resource else ""
    scope = "Namespaced" if obj["metadata"].get("namespace") else "Cluster"

    def covers(rule: Object) -> bool:
        def has(name: str, *values: str) -> bool:
            return bool({"*", *values} & set(rule.get(name) or ()))

        names = set(rule.get("resourceNames") or ())
        return (
            has("operations", "CREATE")
            and has("apiGroups", group)
            and has("apiVersions", *versions)
            and has("resources", plural, f"{plural}/*", "*/*")
            and rule.get("scope", "*") in ("*", scope)
            and (not names or obj["metadata"].get("name") in names)
        )

    return any(covers(rule) for rule in rules)
