"""Watches go on through whatever breaks, say what vanished meanwhile, and end when they are told to."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusters.kube import stopping, watches
from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, NotFound
from clusters.kube.kubeconfig import Kubeconfig
from clusters.kube.watches import WatchEvent
from demo.cluster import store, watching
from demo.cluster.server import ClusterHandle
from tests.kube.conftest import Misbehaving, until, with_token

WATCH = "watch=true"
# A fraction of a second; more on a machine that has other things to do.
PROMPTLY = 2.0
# The controllers make none of them by themselves.
ROLES = "roles.rbac.authorization.k8s.io"


class Watching:
    """A watch in a thread of its own."""

    def __init__(self, events: Iterator[WatchEvent], stop: threading.Event) -> None:
        self.stop = stop
        self.seen: queue.Queue[WatchEvent | BaseException] = queue.Queue()
        self.thread = threading.Thread(target=self._read, args=(events,), daemon=True)
        self.thread.start()

    def _read(self, events: Iterator[WatchEvent]) -> None:
        try:
            for event in events:
                self.seen.put(event)
        except BaseException as error:
            self.seen.put(error)

    def next(self) -> tuple[str, str]:
        event = self.seen.get(timeout=10)
        assert isinstance(event, WatchEvent), event
        return event.type, event.object.get("metadata", {}).get("name", "")

    def end(self) -> float:
        """How long it took to end after it was told to."""
        began = time.monotonic()
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return time.monotonic() - began


@pytest.fixture
def namespace(served: ClusterHandle, request: pytest.FixtureRequest) -> str:
    name = "n" + request.node.name.replace("_", "-")[:40].strip("-")
    served.call(lambda api: api.create("namespaces", {"metadata": {"name": name}}))
    return name


@pytest.fixture
def watched(connection: Connection, namespace: str) -> Iterator[Watching]:
    stop = threading.Event()
    watching = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
    yield watching
    watching.end()


def put(served: ClusterHandle, namespace: str, name: str, value: str = "") -> None:
    def write(api: object) -> None:
        existing = [each for each in served.api.list(ROLES, namespace) if each["metadata"]["name"] == name]
        if existing:
            changed = existing[0] | {"rules": [{"apiGroups": [""], "resources": [value], "verbs": ["get"]}]}
            served.api.update(ROLES, changed)
        else:
            served.api.create(ROLES, {"metadata": {"name": name, "namespace": namespace}})

    served.call(write)


def remove(served: ClusterHandle, namespace: str, name: str) -> None:
    served.call(lambda api: api.delete(ROLES, namespace, name))


def watches_open(served: ClusterHandle) -> int:
    """Those that somebody reads: whoever has left is noticed at once."""
    return served.call(lambda api: sum(each.__qualname__ == "Queue.put_nowait" for each in api.store.listeners))


def test_what_there_is_and_then_every_change(served: ClusterHandle, namespace: str, connection: Connection) -> None:
    put(served, namespace, "a")
    stop = threading.Event()
    watching = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
    assert [watching.next(), watching.next()] == [("ADDED", "a"), ("SYNCED", "")]
    put(served, namespace, "b")
    assert watching.next() == ("ADDED", "b")
    put(served, namespace, "a", "new")
    assert watching.next() == ("MODIFIED", "a")
    remove(served, namespace, "a")
    assert watching.next() == ("DELETED", "a")
    watching.end()


def test_selectors(served: ClusterHandle, namespace: str, connection: Connection) -> None:
    stop = threading.Event()
    watching = Watching(
        connection.watch(ROLES, namespace, field_selector="metadata.name=b", stop=stop),
        stop,
    )
    assert watching.next() == ("SYNCED", "")
    put(served, namespace, "a")
    put(served, namespace, "b")
    assert watching.next() == ("ADDED", "b")
    watching.end()


def test_a_server_that_goes_and_comes_back(served: ClusterHandle, namespace: str, watched: Watching) -> None:
    assert watched.next() == ("SYNCED", "")
    served.faults.drop("/roles", times=2)
    served.faults.stopped = True
    put(served, namespace, "meanwhile")
    served.faults.stopped = False
    assert watched.next() == ("ADDED", "meanwhile")
    put(served, namespace, "after")
    assert watched.next() == ("ADDED", "after")


def test_what_vanished_before_history_began_is_given_as_deleted(
    served: ClusterHandle, namespace: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stays", "changes", "goes"):
        put(served, namespace, name)
    stop = threading.Event()
    watching = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
    assert [watching.next() for _ in range(4)][-1] == ("SYNCED", "")
    served.faults.stopped = True
    remove(served, namespace, "goes")
    put(served, namespace, "changes", "new")
    put(served, namespace, "comes")
    monkeypatch.setattr(store, "HISTORY", 4)
    for number in range(8):
        put(served, "default", "noise", str(number))
    served.faults.stopped = False
    assert watching.next() == ("DELETED", "goes")
    assert sorted([watching.next(), watching.next()]) == [("ADDED", "comes"), ("MODIFIED", "changes")]
    put(served, namespace, "after")
    assert watching.next() == ("ADDED", "after")
    watching.end()


def test_an_answer_of_410_is_followed_by_a_new_list(served: ClusterHandle, namespace: str, watched: Watching) -> None:
    assert watched.next() == ("SYNCED", "")
    until(lambda: watches_open(served) == 1)
    served.faults.fail("/roles", status=410, times=2)
    served.faults.stopped = True
    put(served, namespace, "a")
    served.faults.stopped = False
    assert watched.next() == ("ADDED", "a")


def test_bookmarks_move_the_version_on(
    served: ClusterHandle, namespace: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.05)
    asked: list[str] = []
    bookmarks: list[int] = []
    begin, read_lines = watches._stream, watches.lines

    def spy(*arguments: object) -> Iterator[WatchEvent]:
        asked.append(str(arguments[4]))
        return begin(*arguments)  # type: ignore[arg-type]

    def listening(response: Any, stop: threading.Event) -> Iterator[bytes]:
        for line in read_lines(response, stop):
            event = json.loads(line)
            if event["type"] == "BOOKMARK":
                bookmarks.append(int(event["object"]["metadata"]["resourceVersion"]))
            yield line

    monkeypatch.setattr(watches, "_stream", spy)
    monkeypatch.setattr(watches, "lines", listening)
    stop = threading.Event()
    watched = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
    assert watched.next() == ("SYNCED", "")
    put(served, "default", "elsewhere")
    newest = served.call(lambda api: api.store.version)
    until(lambda: bookmarks and max(bookmarks) >= newest)
    served.faults.stopped = True
    served.faults.stopped = False
    until(lambda: len(asked) > 1)
    assert int(asked[0]) < newest <= int(asked[1])
    watched.end()


def test_errors_that_do_not_pass_are_raised(served: ClusterHandle, config: Kubeconfig, connection: Connection) -> None:
    with pytest.raises(NotFound):
        next(connection.watch("nothings"))
    token = served.api.tokens.issue("nobody")
    with Connection(with_token(config, token)) as nobody, pytest.raises(Forbidden):
        next(nobody.watch(ROLES, "default"))


def test_an_outage_of_a_day_is_survived(
    served: ClusterHandle, namespace: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "LONGEST_PAUSE", 0.0)
    answers = 1100
    begin = watches._stream

    def unreachable(*arguments: object) -> Iterator[WatchEvent]:
        nonlocal answers
        answers -= 1
        if answers > 0:
            raise watches.errors.Unreachable("gone")
        return begin(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(watches, "_stream", unreachable)
    stop = threading.Event()
    watched = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
    assert watched.next() == ("SYNCED", "")
    put(served, namespace, "after")
    assert watched.next() == ("ADDED", "after")
    watched.end()


# -- ending ------------------------------------------------------------------------------------------------------------


def test_a_watch_where_nothing_happens_ends_when_told(served: ClusterHandle, watched: Watching) -> None:
    assert watched.next() == ("SYNCED", "")
    until(lambda: watches_open(served) == 1)
    assert watched.end() < PROMPTLY
    assert watched.seen.empty()
    until(lambda: watches_open(served) == 0)


def test_a_watch_that_is_told_to_end_gives_nothing_more(
    served: ClusterHandle, namespace: str, connection: Connection
) -> None:
    for name in ("a", "b", "c"):
        put(served, namespace, name)
    stop = threading.Event()
    seen = []
    for event in connection.watch(ROLES, namespace, stop=stop):
        seen.append(event.type)
        stop.set()
    assert seen == ["ADDED"]


def test_many_watches_share_one_thread_and_leave_none_behind(
    served: ClusterHandle, namespace: str, connection: Connection
) -> None:
    def keepers() -> int:
        return sum(each.name == "kube-stops" for each in threading.enumerate())

    stop, others = threading.Event(), threading.Event()
    open_ones = [Watching(connection.watch(ROLES, namespace, stop=stop), stop) for _ in range(8)]
    other = Watching(connection.watch(ROLES, namespace, stop=others), others)
    for each in [*open_ones, other]:
        assert each.next() == ("SYNCED", "")
    until(lambda: watches_open(served) == 9)
    assert keepers() == 1
    assert max(each.end() for each in open_ones) < PROMPTLY
    put(served, namespace, "a")
    assert other.next() == ("ADDED", "a")
    other.end()
    until(lambda: keepers() == 0 and not stopping._stops, 3)


def test_a_watch_that_is_not_read_to_its_end_closes_its_connection(
    served: ClusterHandle, namespace: str, connection: Connection
) -> None:
    put(served, namespace, "a")
    events = connection.watch(ROLES, namespace)
    assert [next(events).type, next(events).type] == ["ADDED", "SYNCED"]
    put(served, namespace, "b")
    assert next(events).type == "ADDED"
    assert watches_open(served) == 1
    events.close()  # type: ignore[attr-defined]
    until(lambda: watches_open(served) == 0)


def test_other_requests_are_not_harmed_when_watches_end(
    served: ClusterHandle, namespace: str, connection: Connection
) -> None:
    put(served, namespace, "a")
    for _ in range(5):
        stop = threading.Event()
        watched = Watching(connection.watch(ROLES, namespace, stop=stop), stop)
        watched.next()
        stop.set()
        # Neither of them may be repeated, so that a broken connection would show.
        for number in range(10):
            connection.patch(ROLES, "a", namespace, {"metadata": {"labels": {"n": str(number)}}})
        watched.end()


LISTS = json.dumps({"kind": "SecretList", "metadata": {"resourceVersion": "5"}, "items": []})
DISCOVERY = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "secrets",
                            "responseKind": {"kind": "Secret"},
                            "scope": "Namespaced",
                            "verbs": ["list"],
                        }
                    ],
                }
            ],
        }
    ],
}


def respond(client: socket.socket, body: str, status: str = "200 OK") -> None:
    client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"type": "ADD',
        b'HTTP/1.1 200 OK\r\n\r\n{"type": "ADD',
    ],
    ids=["silent", "head only", "within a chunk", "no length"],
)
def test_ending_does_not_depend_on_what_the_server_has_sent(sent: bytes, misbehaving: Misbehaving) -> None:
    began = threading.Event()

    def answer(client: socket.socket, head: bytes) -> None:
        path = head.split()[1].decode()
        if WATCH in path:
            client.sendall(sent)
            began.set()
            # Until the client leaves.
            client.recv(1)
        else:
            respond(client, json.dumps(DISCOVERY) if path in ("/api", "/apis") else LISTS)

    with misbehaving(answer) as config, Connection(config) as connection:
        stop = threading.Event()
        watched = Watching(connection.watch("secrets", "default", stop=stop), stop)
        assert watched.next() == ("SYNCED", "")
        assert began.wait(10)
        assert watched.end() < PROMPTLY
        assert watched.seen.empty()


def test_a_list_that_does_not_come_is_given_up_when_told(misbehaving: Misbehaving) -> None:
    began = threading.Event()

    def answer(client: socket.socket, head: bytes) -> None:
        if head.split()[1] in (b"/api", b"/apis"):
            respond(client, json.dumps(DISCOVERY))
        else:
            began.set()
            client.recv(1)

    with misbehaving(answer) as config, Connection(config) as connection:
        stop = threading.Event()
        watched = Watching(connection.watch("secrets", "default", stop=stop), stop)
        assert began.wait(10)
        assert watched.end() < PROMPTLY


def test_a_silent_stream_has_a_time_limit(misbehaving: Misbehaving) -> None:
    def answer(client: socket.socket, head: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
        client.recv(1)

    with misbehaving(answer) as config, Connection(config) as connection:
        response = connection.request("GET", "/x", stream=True, timeout=(5, 0.3))
        lines = watches.lines(response, threading.Event())
        assert next(lines) == b"a"
        began = time.monotonic()
        with pytest.raises(watches.urllib3.exceptions.ReadTimeoutError):
            next(lines)
        assert 0.2 < time.monotonic() - began < 2
        response.close()


def test_lines_may_come_in_any_pieces(misbehaving: Misbehaving) -> None:
    text = "".join(f"line {number} {'é' * (number % 700)}\n" for number in range(2000)) + "\nlast"

    def answer(client: socket.socket, head: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        data, at, size = text.encode(), 0, 1
        while at < len(data):
            piece = data[at : at + size]
            client.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            at, size = at + size, size * 3 % 40_009
        client.sendall(b"0\r\n\r\n")

    with misbehaving(answer) as config, Connection(config) as connection:
        stop = threading.Event()
        response = connection.request("GET", "/x", stream=True, stop=stop)
        assert b"\n".join(watches.lines(response, stop)).decode() == text
