"""Configurations of webhooks: what the server fills in, and what it refuses (pkg/apis/admissionregistration)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from demo.cluster import cel, webhook_matching
from demo.cluster.statuses import Cause, invalid_value, required

Object = dict[str, Any]
MUTATING = f"mutatingwebhookconfigurations.{webhook_matching.GROUP}"
VALIDATING = f"validatingwebhookconfigurations.{webhook_matching.GROUP}"
CHOICES = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}
MOST_CONDITIONS = 64


def fill(obj: Object) -> None:
    """Defaults of a configuration whose webhooks validate."""
    for webhook in obj.get("webhooks") or ():
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("matchPolicy", "Equivalent")
        webhook.setdefault("namespaceSelector", {})
        webhook.setdefault("objectSelector", {})
        webhook.setdefault("timeoutSeconds", 10)
        for rule in webhook.get("rules") or ():
            rule.setdefault("scope", "*")
        if service := (webhook.get("clientConfig") or {}).get("service"):
            service.setdefault("port", 443)


def fill_mutating(obj: Object) -> None:
    """Defaults of a configuration whose webhooks change objects."""
    fill(obj)
    for webhook in obj.get("webhooks") or ():
        webhook.setdefault("reinvocationPolicy", "Never")


def check(obj: Object) -> list[Cause]:
    """What is wrong with the webhooks' choices and conditions."""
    return [
        cause
        for index, webhook in enumerate(obj.get("webhooks") or ())
        for cause in _wrong(webhook, f"webhooks[{index}]")
    ]


def _wrong(webhook: Object, at: str) -> Iterator[Cause]:
    for field, allowed in CHOICES.items():
        if (value := webhook.get(field)) is not None and value not in allowed:
            said = ", ".join(json.dumps(each) for each in allowed)
            message = f"Unsupported value: {json.dumps(value)}: supported values: {said}"
            yield Cause("FieldValueNotSupported", f"{at}.{field}", message)
    conditions = webhook.get("matchConditions") or []
    if len(conditions) > MOST_CONDITIONS:
        message = f"Too many: {len(conditions)}: must have at most {MOST_CONDITIONS} items"
        yield Cause("FieldValueTooMany", f"{at}.matchConditions", message)
        return
    names: set[str] = set()
    for index, each in enumerate(conditions):
        place = f"{at}.matchConditions[{index}]"
        yield from _wrong_condition(each, place)
        name = each.get("name") or ""
        if not name:
            yield required(f"{place}.name")
        elif name in names:
            yield Cause("FieldValueDuplicate", f"{place}.name", f"Duplicate value: {json.dumps(name)}")
        names.add(name)


def _wrong_condition(condition: Object, place: str) -> Iterator[Cause]:
    expression = str(condition.get("expression") or "").strip()
    field, shown = f"{place}.expression", json.dumps(expression, ensure_ascii=False)
    if not expression:
        yield required(field)
        return
    try:
        found = webhook_matching.program(expression).type
    except cel.CompileError as error:
        yield invalid_value(field, shown, f"compilation failed: {error}")
        return
    if found != "bool":
        yield invalid_value(field, shown, f"must evaluate to bool but got {found}")
