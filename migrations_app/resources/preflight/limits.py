"""LimitRanges: what they fill into containers, and which pods and claims they refuse.

As the LimitRanger admission plugin does it (plugin/pkg/admission/limitranger/admission.go), its words included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal

from clusters.texts import counted, listed, said
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.workloads import amounts, pod_requests
from migrations_app.resources.quantities import to_bytes, to_number, to_text
from migrations_app.resources.references import items, section

LIMITS = Check("limit-range", said("Limits of single pods and claims"))
RANGES = "limitranges"


def limit_ranges(context: Context) -> Iterator[Result]:
    """Pods and claims that a LimitRange of their namespace refuses."""
    found, wrong = 0, False
    for namespace in context.namespaces:
        ranges = ranges_of(context, namespace)
        found += len(ranges)
        for name, refused in _refused(context, namespace, ranges).items():
            wrong = True
            make = LIMITS.failure if any(starts for _label, _reason, starts in refused) else LIMITS.warning
            reasons = list(dict.fromkeys(reason for _label, reason, _starts in refused))
            yield make(
                said(
                    "LimitRange {namespace}/{name} of the {destination} refuses {refused}: {reasons}.",
                    namespace=namespace,
                    name=name,
                    destination=context.destination,
                    refused=listed(label for label, _reason, _starts in refused),
                    reasons=listed(reasons, 3),
                ),
                [label for label, _reason, _starts in refused],
                why=said("The API server would refuse the pods or claims, and the workloads would stay without pods."),
                remedy=said("Change what these ask for by a rule of the migration, or the LimitRange there."),
                command=f"{context.destination.kubectl} edit limitrange {name} -n {namespace}",
            )
    if found and not wrong:
        yield LIMITS.passed(
            counted(
                found,
                "What comes keeps to {n} LimitRange of the destination's namespaces.",
                "What comes keeps to {n} LimitRanges of the destination's namespaces.",
            )
        )


def ranges_of(context: Context, namespace: str) -> list[Object]:
    """The LimitRanges that will hold in the namespace: those that are there, and those that come. Raises Unreadable."""
    there = context.destination.named(RANGES, namespace) if namespace in context.existing else {}
    coming = {
        obj["metadata"]["name"]: obj
        for obj in context.of_type("", "LimitRange")
        if obj["metadata"].get("namespace") == namespace
    }
    return list({**coming, **there}.values())


def _refused(context: Context, namespace: str, ranges: list[Object]) -> dict[str, list[tuple[str, str, bool]]]:
    """By LimitRange: what it refuses, why, and whether that would be made at once."""
    refused: dict[str, list[tuple[str, str, bool]]] = {}
    for workload in context.workloads:
        if workload.namespace != namespace:
            continue
        spec = with_defaults(workload.spec, ranges)
        for each in ranges:
            for reason in pod_violations(spec, each):
                refused.setdefault(each["metadata"]["name"], []).append((str(workload), reason, workload.starts))
    for claim in context.claims:
        if claim.namespace == namespace:
            for each in ranges:
                for reason in claim_violations(claim.bytes, each):
                    refused.setdefault(each["metadata"]["name"], []).append((claim.label, reason, True))
    return refused


def with_defaults(spec: Object, ranges: list[Object]) -> Object:
    """The pod spec with the requests and limits that the LimitRanges fill in."""
    defaults: dict[str, Object] = {"limits": {}, "requests": {}}
    for limit in (limit for each in ranges for limit in items(each.get("spec"), "limits")):
        if limit.get("type") == "Container":
            # core/v1 defaults: a maximum is the limit, and that or a minimum the request, where nothing is said.
            limits = {**section(limit, "max"), **section(limit, "default")}
            requests = {**section(limit, "min"), **limits, **section(limit, "defaultRequest")}
            defaults["limits"] = {**limits, **defaults["limits"]}
            defaults["requests"] = {**requests, **defaults["requests"]}
    if not any(defaults.values()):
        return spec
    filled = copy.deepcopy(spec)
    for container in [*items(filled, "initContainers"), *items(filled, "containers")]:
        own = section(container, "resources")
        asked = {**section(own, "limits"), **section(own, "requests")}
        container["resources"] = {
            "limits": {**defaults["limits"], **section(own, "limits")},
            "requests": {**defaults["requests"], **asked},
        }
    return filled


def pod_violations(spec: Object, limit_range: Object) -> Iterator[str]:
    """Why the LimitRange refuses a pod of this spec, defaults filled in."""
    for limit in items(limit_range.get("spec"), "limits"):
        match limit.get("type"):
            case "Container":
                for container in [*items(spec, "initContainers"), *items(spec, "containers")]:
                    yield from _violations(
                        "Container", limit, amounts(container, "requests"), amounts(container, "limits")
                    )
            case "Pod":
                yield from _violations("Pod", limit, pod_requests(spec), pod_requests(spec, "limits"))


def _violations(kind: str, limit: Object, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> Iterator[str]:
    for name, least in section(limit, "min").items():
        request, most = requests.get(name), limits.get(name)
        if request is None:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif request < to_number(least):
            yield f"minimum {name} usage per {kind} is {least}, but request is {shown(name, request)}"
        elif most is not None and most < to_number(least):
            yield f"minimum {name} usage per {kind} is {least}, but limit is {shown(name, most)}"
    for name, greatest in section(limit, "max").items():
        request, most = requests.get(name), limits.get(name)
        if most is None:
            yield f"maximum {name} usage per {kind} is {greatest}.  No limit is specified"
        elif most > to_number(greatest):
            yield f"maximum {name} usage per {kind} is {greatest}, but limit is {shown(name, most)}"
        elif request is not None and request > to_number(greatest):
            yield f"maximum {name} usage per {kind} is {greatest}, but request is {shown(name, request)}"
    for name, ratio in section(limit, "maxLimitRequestRatio").items():
        request, most = requests.get(name), limits.get(name)
        if not request or not most:
            told = f"{name} max limit to request ratio per {kind} is {ratio}"
            yield f"{told}, but no request is specified or request is 0"
        elif most / request > to_number(ratio):
            yield f"{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {most / request:.6f}"


def claim_violations(size: int, limit_range: Object) -> Iterator[str]:
    """Why the LimitRange refuses a claim of so many bytes."""
    for limit in items(limit_range.get("spec"), "limits"):
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        least, greatest = section(limit, "min").get("storage"), section(limit, "max").get("storage")
        if least is not None and size < to_bytes(least):
            yield f"minimum storage usage per PersistentVolumeClaim is {least}, but request is {to_text(size)}"
        if greatest is not None and size > to_bytes(greatest):
            yield f"maximum storage usage per PersistentVolumeClaim is {greatest}, but request is {to_text(size)}"


def shown(resource: str, amount: Decimal) -> str:
    """An amount for people: memory and storage in binary units, all else as a number."""
    if "memory" in resource or "storage" in resource:
        return to_text(int(amount))
    if amount != amount.to_integral_value():
        return f"{int(amount * 1000)}m"
    return str(int(amount))
