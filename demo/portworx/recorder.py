"""Events as client-go's recorder writes them: equal ones counted, many similar ones combined, floods dropped.

The rules are those of k8s.io/client-go/tools/record/events_cache.go: from the tenth message of one type and reason
about one object on, all go into one "(combined from similar events)"; of all events about one object 25 are written,
and one more every five minutes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import now

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
COMPONENT = "stork"
MOST_SIMILAR = 10
BURST = 25
SECONDS_PER_EVENT = 300.0
COMBINED = "(combined from similar events): "


@dataclass
class _Allowance:
    """A bucket of events that refills slowly."""

    left: float = BURST
    at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        moment = time.monotonic()
        self.left = min(BURST, self.left + (moment - self.at) / SECONDS_PER_EVENT)
        self.at = moment
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Recorder:
    """Writes the events of one program; what it remembers goes with it."""

    def __init__(self, api: ClusterAPI) -> None:
        self._api = api
        self._messages: dict[tuple[str, str, str], set[str]] = {}
        self._written: dict[tuple[str, ...], Object] = {}
        self._allowances: dict[str, _Allowance] = {}

    def normal(self, about: Object, reason: str, message: str) -> None:
        """Something went as it should."""
        self.record(about, "Normal", reason, message)

    def warning(self, about: Object, reason: str, message: str) -> None:
        """Something went wrong."""
        self.record(about, "Warning", reason, message)

    def record(self, about: Object, kind: str, reason: str, message: str) -> None:
        """Write the event, count an earlier one up, or drop it."""
        uid = about["metadata"]["uid"]
        similar = (uid, kind, reason)
        messages = self._messages.setdefault(similar, set())
        messages.add(message)
        key: tuple[str, ...] = (*similar, message)
        if len(messages) >= MOST_SIMILAR:
            messages.discard(next(iter(messages)))
            key, message = similar, COMBINED + message
        earlier = self._written.get(key)
        moment = now()
        if earlier is None:
            event = _event(about, kind, reason, message, moment)
        else:
            event = {**earlier, "message": message, "count": earlier["count"] + 1, "lastTimestamp": moment}
        self._written[key] = event
        if not self._allowances.setdefault(uid, _Allowance()).take():
            return
        stored = self._api.store.get("events", event["metadata"]["namespace"], event["metadata"]["name"])
        if stored is None:
            self._api.create("events", event)
        else:
            changed = {name: event[name] for name in ("message", "count", "lastTimestamp")}
            self._api.store.write("MODIFIED", "events", {**stored, **changed})


def _event(about: Object, kind: str, reason: str, message: str, moment: str) -> Object:
    metadata = about["metadata"]
    namespace = metadata.get("namespace") or "default"
    involved = {
        "kind": about["kind"],
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": namespace},
        "involvedObject": {key: value for key, value in involved.items() if value},
        "reason": reason,
        "message": message,
        "source": {"component": COMPONENT},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": kind,
        "eventTime": None,
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    }
