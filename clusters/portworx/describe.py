"""`kubectl describe` of an object that kubectl has no describer for, which is what it does with Stork's.

The rules are those of kubectl's genericDescriber (k8s.io/kubectl/pkg/describe): fields in alphabetical order, their
names split into words, events below, counted ones as `3s (x2 over 78s)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from clusters.portworx import durations
from clusters.portworx.tables import aligned

Object = dict[str, Any]
SHOWN_ABOVE = {
    (".metadata", name) for name in ("managedFields", "name", "namespace", "labels", "annotations")
}  # fmt: skip
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONGEST_ANNOTATION = 140
ACRONYMS = {"API", "URL", "UID", "OSB", "GUID"}
WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def describe(obj: Object, events: Iterable[Object] = (), *, now: datetime | None = None) -> str:
    """The whole text, ending with a line break."""
    metadata = obj.get("metadata") or {}
    lines = [f"Name:\t{metadata.get('name', '')}", f"Namespace:\t{metadata.get('namespace', '')}"]
    lines += _labels(metadata.get("labels") or {})
    lines += _annotations(metadata.get("annotations") or {})
    lines += _content(obj, 0, "")
    found = sorted(events, key=_last_seen)
    if not found:
        return _laid_out([*lines, "Events:\t<none>"])
    return _laid_out(lines) + _laid_out(_events(found, now or datetime.now(UTC)))


def _laid_out(lines: list[str]) -> str:
    text = "\n".join([*lines, ""]).replace("\x1b", "^[").replace("\r", "\\r")
    return aligned(text, minimum=0, padding=2)


def _labels(labels: Object) -> list[str]:
    rows = [f"{key}={value}" for key, value in sorted(labels.items())] or ["<none>"]
    return [f"{'Labels:' if number == 0 else ''}\t{row}" for number, row in enumerate(rows)]


def _annotations(annotations: Object) -> list[str]:
    rows: list[str] = []
    for key, given in sorted(annotations.items()):
        if key == LAST_APPLIED:
            continue
        value = str(given).removesuffix("\n")
        if len(value) + len(key) + 2 > LONGEST_ANNOTATION or "\n" in value:
            rows += [f"{key}:", *(f"  {_shortened(line)}" for line in value.split("\n"))]
        else:
            rows.append(f"{key}: {value}")
    rows = rows or ["<none>"]
    return [f"{'Annotations:' if number == 0 else ''}\t{row}" for number, row in enumerate(rows)]


def _shortened(line: str) -> str:
    most = LONGEST_ANNOTATION - 2
    return line if len(line) <= most else f"{line[:most]}..."


def _content(content: Object, level: int, path: str) -> list[str]:
    lines: list[str] = []
    indent = "  " * level
    for name, value in sorted(content.items()):
        if (path, name) in SHOWN_ABOVE:
            continue
        label = label_for(name)
        if isinstance(value, dict):
            lines += [f"{indent}{label}:", *_content(value, level + 1, f"{path}.{name}")]
        elif isinstance(value, list):
            lines.append(f"{indent}{label}:")
            for each in value:
                if isinstance(each, dict):
                    lines += _content(each, level + 1, f"{path}.{name}")
                else:
                    lines.append(f"{indent}  {_value(each)}")
        else:
            lines.append(f"{indent}{label}:\t{_value(value)}")
    return lines


def label_for(name: str) -> str:
    """`persistentVolumeClaim` as `Persistent Volume Claim`; names that hold anything but letters and `-` stay."""
    if re.search(r"[^A-Za-z-]", name):
        return name
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|-+", name)
    return " ".join(word.upper() if word.upper() in ACRONYMS else word[:1].upper() + word[1:] for word in words)


def _value(value: object) -> str:
    """As Go's %v prints what came as JSON."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(_value(each) for each in value)}]"
    return str(value)


def _last_seen(event: Object) -> str:
    return str(event.get("lastTimestamp") or "")


def _events(events: list[Object], now: datetime) -> list[str]:
    lines = ["Events:", "  Type\tReason\tAge\tFrom\tMessage", "  ----\t------\t----\t----\t-------"]
    for each in events:
        component = (each.get("source") or {}).get("component") or each.get("reportingComponent") or ""
        message = str(each.get("message") or "").strip()
        lines.append(f"  {each.get('type', '')}\t{each.get('reason', '')}\t{_seen(each, now)}\t{component}\t{message}")
    return lines


def _seen(event: Object, now: datetime) -> str:
    first = _ago(event.get("eventTime") or event.get("firstTimestamp"), now)
    count = event.get("count") or 0
    if series := event.get("series"):
        return f"{_ago(series.get('lastObservedTime'), now)} (x{series.get('count')} over {first})"
    if count > 1:
        return f"{_ago(event.get('lastTimestamp'), now)} (x{count} over {first})"
    return first


def _ago(text: object, now: datetime) -> str:
    found = durations.moment(text)
    return durations.age(now - found) if found else "<unknown>"
