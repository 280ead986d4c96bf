"""Policies in AWS's language, as far as session policies need it: effects, actions, resources, and string conditions.

What no statement allows is denied, and a Deny wins over every Allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from demo.s3.errors import S3Error

# A policy's whole text, as STS limits it.
MOST_CHARACTERS = 2048
CONDITIONS = ("StringLike", "StringEquals")


@dataclass(frozen=True)
class Policy:
    """The statements of one document."""

    statements: tuple[dict[str, Any], ...]

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Raises S3Error with STS's code for what is none, and for what this evaluation does not know."""
        try:
            document = json.loads(text)
            found = document["Statement"]
            statements = tuple(found if isinstance(found, list) else [found])
            for each in statements:
                if each["Effect"] not in ("Allow", "Deny") or not each["Action"] or not each["Resource"]:
                    raise ValueError
                if set(each.get("Condition", {})) - set(CONDITIONS):
                    raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise S3Error("MalformedPolicyDocument") from None
        if len(text) > MOST_CHARACTERS:
            raise S3Error("PackedPolicyTooLarge")
        return cls(statements)

    def allows(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Whether the action on the resource (an ARN) is allowed; `context` has the values for conditions."""
        effects = {
            each["Effect"]
            for each in self.statements
            if _matches(each["Action"], action, ignore_case=True)
            and _matches(each["Resource"], resource)
            and _holds(each.get("Condition", {}), context)
        }
        return "Allow" in effects and "Deny" not in effects


def _matches(patterns: Any, text: str, *, ignore_case: bool = False) -> bool:
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        # Only * and ? have a meaning, not the brackets that fnmatch knows.
        escaped = re.sub(r"\[", "[[]", pattern)
        if fnmatchcase(text.lower(), escaped.lower()) if ignore_case else fnmatchcase(text, escaped):
            return True
    return False


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, wanted in conditions.items():
        for key, patterns in wanted.items():
            value = context.get(key)
            if value is None:
                return False
            listed = [patterns] if isinstance(patterns, str) else patterns
            if not (_matches(listed, value) if operator == "StringLike" else value in listed):
                return False
    return True
