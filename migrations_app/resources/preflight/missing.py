"""What the objects refer to, and what is neither carried nor there."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import Text, counted, listed, said, sentences
from migrations_app.resources.dependencies import Missing
from migrations_app.resources.preflight.context import Context
from migrations_app.resources.preflight.facts import Unreadable
from migrations_app.resources.preflight.result import Check, Result

REFERENCES = Check("references", said("Objects that others need"))
# Looked at more closely by checks of their own.
ELSEWHERE = {"StorageClass", "PriorityClass", "RuntimeClass", "IngressClass", "GatewayClass", "Gateway"}


def references(context: Context) -> Iterator[Result]:
    """Objects that something needs, that do not go along, and that the destination does not have."""
    needed: dict[tuple[str, str, str, str], list[Missing]] = {}
    for each in context.missing:
        kind = each.needed[1]
        if kind not in ELSEWHERE and not each.at.endswith("imagePullSecrets") and (each.presumed or not each.optional):
            needed.setdefault(each.needed, []).append(each)
    there = 0
    for key, users in sorted(needed.items()):
        group, kind, namespace, name = key
        if _is_there(context, group, kind, context.spec.namespace_for(namespace) if namespace else "", name):
            there += 1
            continue
        objects = [_label(*each.user[1:]) for each in users]
        place = f" -n {namespace}" if namespace else ""
        presumed = all(each.presumed for each in users)
        why = said("Pods that need it wait until it is there; bindings and others work only then.")
        if presumed:
            why = said(
                "Only the name of the field {at} says so; if its operator reads it as such, it needs it.",
                at=users[0].at,
            )
        yield REFERENCES.warning(
            _lacking(context, objects, _label(kind, namespace, name), users[0].reason, presumed),
            [_label(kind, namespace, name), *objects],
            why=why,
            remedy=said("Let it come along, make it there, or change who needs it by a rule of the migration."),
            command=f"{context.source.kubectl} get {kind.lower()} {name}{place} -o yaml",
        )
    if not needed or there == len(needed):
        fine = said("What the objects refer to comes along or is there.")
        already = counted(
            there, "{n} of it is on the destination already.", "{n} of it are on the destination already."
        )
        yield REFERENCES.passed(sentences(fine, already) if there else fine)


def _lacking(context: Context, users: list[str], needed: str, reason: str, presumed: bool) -> Text:
    values = {"users": listed(users), "needed": needed, "reason": reason, "destination": context.destination}
    if presumed:
        return said(
            "{users} may refer to {needed}, which {reason}; the {destination} does not have it either.", **values
        )
    return counted(
        len(users),
        "{users} needs {needed}, which {reason}; the {destination} does not have it either.",
        "{users} need {needed}, which {reason}; the {destination} does not have it either.",
        **values,
    )


def _is_there(context: Context, group: str, kind: str, namespace: str, name: str) -> bool:
    resource = next((each for each in context.discovery.resources() if (each.group, each.kind) == (group, kind)), None)
    if resource is None:
        return False
    try:
        return name in context.destination.named(resource.name, namespace)
    except Unreadable:
        return False


def _label(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
