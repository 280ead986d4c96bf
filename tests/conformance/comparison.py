"""Compares what was recorded with what is answered now, but for values that are random or local by nature."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MISSING = "<missing>"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HTTP_TIME = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*-----END [A-Z ]+-----\n?", re.DOTALL)
LONG_HEX = re.compile(r"\b[0-9a-f]{64}\b")
EVENT_NAME = re.compile(r"\.[0-9a-f]{16}$")
PULLED = re.compile(r"in [\d.]+m?s \([\d.]+m?s including waiting\)\. Image size: \d+ bytes")
CREDENTIAL = re.compile(r"JTI=.*")
ETAG = re.compile(r'ETag: "[0-9a-f-]+"')
CURRENT_VERSION = re.compile(r"current: \d+")
# Hashes of pod templates, and the suffixes of generated names: letters and digits that cannot spell words.
TEMPLATE_HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}(?![a-zA-Z0-9])")
GENERATED = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?![a-zA-Z0-9])")
NETWORK_NAMESPACE = re.compile(r"/var/run/netns/cni-[0-9a-f-]+")
# Fields whose value is random, allocated, or a fact of the node.
RANDOM = {
    "uid", "resourceVersion", "containerID", "imageID", "token", "continue", "podIP", "hostIP", "ip", "nodePort",
    "count",
    "serverAddress", "pod-template-hash", "controller-revision-hash", "volumeHandle",
    "snapshotHandle", "creationTime", "controller-uid", "batch.kubernetes.io/controller-uid", "reportingInstance",
}  # fmt: skip
ADDRESSES = {"clusterIP", "clusterIPs"}
CERTIFICATES = {"ca.crt", "service-ca.crt"}
# Facts of the machine that the recording was made on.
NODE_FACTS = {"nodeInfo", "capacity", "allocatable", "images", "daemonEndpoints", "addresses"}
AGO = re.compile(r"\(\S+ ago\)$")
TIMED_COLUMNS = {"Age", "Duration", "Last Seen", "First Seen"}


class Difference(NamedTuple):
    """One place where the answers differ: a dotted path, what was recorded and what came."""

    path: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        def shown(value: Any) -> str:
            return value if value == MISSING else json.dumps(value, sort_keys=True)[:700]

        return f"{self.path}\n      recorded {shown(self.expected)}\n      answered {shown(self.actual)}"


@dataclass
class Learned:
    """Values of the recording and what stands for them in the replay."""

    texts: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Learned:
        return Learned(dict(self.texts), dict(self.versions))

    def learn(self, recorded: Any, replayed: Any) -> None:
        """Walk a recorded answer and its replay side by side and note what was produced."""
        if isinstance(recorded, dict) and isinstance(replayed, dict):
            if recorded.get("kind") == "EventList":
                # Events come in any order, so that their values do not belong together.
                return
            generated = "generateName" in recorded and "generateName" in replayed
            for name, value in recorded.items():
                other = replayed.get(name)
                if not isinstance(value, str) or not isinstance(other, str):
                    self.learn(value, other)
                elif name == "resourceVersion":
                    self.versions[value] = other
                elif (name in RANDOM or (generated and name == "name") or name in ADDRESSES) and len(value) > 3:
                    self.texts[value] = other
        elif isinstance(recorded, list) and isinstance(replayed, list):
            for value, other in zip(recorded, replayed, strict=False):
                self.learn(value, other)

    def text(self, text: str) -> str:
        """The text with recorded values replaced, longest first."""
        for value in sorted(self.texts, key=len, reverse=True):
            if value in text and self.texts[value]:
                text = text.replace(value, self.texts[value])
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """The same for any JSON value, its versions included."""
        if isinstance(value, dict):
            return {self.text(name): self.value(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, key) for inner in value]
        if isinstance(value, str):
            return self.versions.get(value, value) if key == "resourceVersion" else self.text(value)
        return value


def _plain_text(text: str) -> str:
    text = PEM.sub("<pem>", text)
    text = UUID.sub("<uid>", text)
    text = TIME.sub("<time>", text)
    text = HTTP_TIME.sub("<time>", text)
    text = LONG_HEX.sub("<id>", text)
    text = PULLED.sub("<pulled>", text)
    text = CURRENT_VERSION.sub("current: <version>", text)
    text = TEMPLATE_HASH.sub("-<hash>", text)
    text = GENERATED.sub("-<random>", text)
    text = CREDENTIAL.sub("JTI=<id>", text)
    text = ETAG.sub("ETag: <etag>", text)
    text = NETWORK_NAMESPACE.sub("<network namespace>", text)
    return EVENT_NAME.sub(".<id>", text)


def plain(value: Any, key: str = "") -> Any:
    """The value with everything incomparable replaced by what it is."""
    if key in CERTIFICATES and isinstance(value, str):
        return f"<{key}>"
    if key in NODE_FACTS:
        return f"<{key}>" if value else value
    if key in RANDOM and value and not isinstance(value, dict | list):
        return f"<{key}>"
    if key in ADDRESSES and value not in ("", "None", ["None"]):
        return "<address>"
    if isinstance(value, dict):
        found = {_plain_text(name): plain(inner, name) for name, inner in value.items()}
        if value.get("kind") == "Table":
            _forget_times(found)
        if isinstance(found.get("managedFields"), list):
            # Within one second the server orders by manager, so that the order depends on how fast things go.
            found["managedFields"] = sorted(found["managedFields"], key=_manager_order)
        if value.get("kind") == "EventList":
            found["items"] = sorted(found.get("items") or [], key=_event_order)
        return found
    if isinstance(value, list):
        return [plain(inner, key) for inner in value]
    return _plain_text(value) if isinstance(value, str) else value


def _forget_times(table: dict[str, Any]) -> None:
    names = [each["name"] for each in table.get("columnDefinitions") or ()]
    for row in table.get("rows") or ():
        row["cells"] = [
            f"<{name}>" if name in TIMED_COLUMNS and cell not in ("", None) else _without_ago(cell)
            for name, cell in zip(names, row["cells"], strict=False)
        ]


def _without_ago(cell: Any) -> Any:
    return AGO.sub("(<time> ago)", cell) if isinstance(cell, str) else cell


def _manager_order(entry: dict[str, Any]) -> tuple[str, ...]:
    return entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", "")


def _event_order(event: dict[str, Any]) -> tuple[str, ...]:
    about = event.get("involvedObject", {})
    return about.get("kind", ""), about.get("name", ""), event.get("reason", ""), event.get("message", "")


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[Difference]:
    """Every place where two plain values differ."""

    def at(step: object) -> str:
        return f"{path}.{step}" if path else str(step)

    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in sorted(expected.keys() | actual.keys()):
            if name not in actual:
                yield Difference(at(name), expected[name], MISSING)
            elif name not in expected:
                yield Difference(at(name), MISSING, actual[name])
            else:
                yield from differences(expected[name], actual[name], at(name))
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (wanted, found) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(wanted, found, at(index))
    elif expected != actual or type(expected) is not type(actual):
        yield Difference(path, expected, actual)
