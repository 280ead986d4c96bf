"""How the parts of a plan look: what becomes of an object, values of fields, lines of a difference."""

from __future__ import annotations

import difflib
import json
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from kubemotion_web.templatetags.ui import label
from migrations_app.plans.models import PlannedAction, PlanSuggestion
from migrations_app.plans.reading import SHOWN_FIRST, WAITING

register = template.Library()

# Colour and icon; the word comes from the action itself, so that no meaning rests on colour alone.
ACTION_LOOKS: dict[str, tuple[str, str]] = {
    PlannedAction.CREATE: ("pf-m-green", "add"),
    PlannedAction.UPDATE: ("pf-m-blue", "edit"),
    PlannedAction.UNCHANGED: ("", "successful"),
    PlannedAction.SKIP: ("", "cancelled"),
    PlannedAction.CONFLICT: ("pf-m-orange", "warning"),
    PlannedAction.REFUSED: ("pf-m-red", "failed"),
    PlannedAction.PURGE: ("pf-m-red", "remove"),
    PlannedAction.LEFT_OUT: ("", "cancelled"),
    WAITING: ("", "pending"),
}
ACTION_WORDS: dict[str, Any] = {**dict(PlannedAction.choices), WAITING: _("not asked yet")}
LONGEST_VALUE = 4000
LONGEST_LINE = 1000


@register.simple_tag
def planned_action(action: str, count: int | None = None) -> SafeString:
    """What becomes of an object as a label with icon and word, and of how many."""
    name = action or WAITING
    colour, icon_name = ACTION_LOOKS[name]
    words = ACTION_WORDS[name] if count is None else f"{count} {ACTION_WORDS[name]}"
    return label(words, f"pf-m-compact {colour}".strip(), icon_name)


@register.filter
def by_action(counts: dict[str, int]) -> list[tuple[str, int]]:
    """What there is to count, in the order in which a reader wants to know of it."""
    always = (PlannedAction.CREATE, PlannedAction.UPDATE, PlannedAction.UNCHANGED)
    return [(each.value, counts[each]) for each in SHOWN_FIRST if counts[each] or each in always]


@register.filter
def field_value(value: Any) -> str:
    """The value of a field as a text: as it is, or as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"


@register.filter
def changed_lines(suggestion: PlanSuggestion) -> list[str]:
    """What a suggestion changes, line by line as `diff -u` has it, without the lines that stay as they are."""
    before, after = suggestion.before.splitlines(), suggestion.after.splitlines()
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    shown = [line for line in lines if not line.startswith("@@")] if len(before) < 2 else lines
    return [f"{line[:LONGEST_LINE]} …" if len(line) > LONGEST_LINE else line for line in shown]


@register.simple_tag
def diff_line(line: str) -> SafeString:
    """One line of a unified difference."""
    kind = {"+": "ins", "-": "del"}.get(line[:1], "span")
    look = "kmw-hunk" if line.startswith("@@") else ""
    return format_html("<{} class='{}'>{}</{}>", kind, look, line or " ", kind)
