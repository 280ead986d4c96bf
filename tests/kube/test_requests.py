"""Calls to a cluster: what comes back, what is repeated and what never is, and how each failure is explained."""

from __future__ import annotations

import datetime
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clusters.kube import errors, requests
from clusters.kube.connection import Connection
from clusters.kube.kubeconfig import Kubeconfig
from clusters.kube.objects import FIELD_MANAGER
from demo.cluster import certificates
from demo.cluster.server import ClusterHandle
from tests.kube.conftest import Misbehaving, with_token

PATH = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The method of every call that was sent."""
    sent: list[str] = []
    once = Connection._once

    def counting(self: Connection, method: str, *arguments: Any) -> Any:
        sent.append(method)
        return once(self, method, *arguments)

    monkeypatch.setattr(Connection, "_once", counting)
    return sent


@pytest.fixture
def ready(connection: Connection) -> Connection:
    """Discovery has been read, so that the next call is the one that a test asks for."""
    connection.discovery()
    return connection


# -- objects ---------------------------------------------------------------------------------------------------------


def test_pages_give_every_object_once(served: ClusterHandle, ready: Connection, asked: list[str]) -> None:
    for number in range(23):
        served.call(lambda api, number=number: api.create("configmaps", config_map(f"page-{number:02}")))
    found = list(ready.list("configmaps", "default", page_size=5))
    names = [each["metadata"]["name"] for each in found if each["metadata"]["name"].startswith("page-")]
    assert names == [f"page-{number:02}" for number in range(23)]
    assert {(each["apiVersion"], each["kind"]) for each in found} == {("v1", "ConfigMap")}
    assert len(asked) >= 5
    (selected,) = ready.list("configmaps", "default", field_selector="metadata.name=page-07")
    assert selected in found
    assert len({each["metadata"]["namespace"] for each in ready.list("configmaps")}) > 1


def test_an_expired_page_token_gives_the_rest_once(served: ClusterHandle, ready: Connection, asked: list[str]) -> None:
    for number in range(6):
        served.call(lambda api, number=number: api.create("secrets", config_map(f"old-{number}") | {"kind": "Secret"}))
    pages = ready.list("secrets", "default", page_size=2, field_selector="type=Opaque")
    first = [next(pages)["metadata"]["name"], next(pages)["metadata"]["name"]]
    served.faults.fail("/secrets", status=410)
    assert [*first, *(each["metadata"]["name"] for each in pages)] == [f"old-{number}" for number in range(6)]


def test_an_object_from_its_making_to_its_end(connection: Connection) -> None:
    made = connection.create("configmaps", config_map("life", data={"a": "1"}))
    assert connection.get("configmaps", "life", "default")["data"] == {"a": "1"}
    with pytest.raises(errors.AlreadyExists):
        connection.create("configmaps", config_map("life"))
    connection.patch("configmaps", "life", "default", {"data": {"a": None, "b": "2"}})
    operations = [{"op": "add", "path": "/data/c", "value": "3"}]
    patched = connection.patch("configmaps", "life", "default", operations, content_type="application/json-patch+json")
    assert patched["data"] == {"b": "2", "c": "3"}
    assert not connection.delete("configmaps", "life", "default", uid="another")
    assert connection.get("configmaps", "life", "default")
    assert connection.delete("configmaps", "life", "default", uid=made["metadata"]["uid"])
    assert not connection.delete("configmaps", "life", "default")
    with pytest.raises(errors.NotFound, match="Could not read configmaps default/life"):
        connection.get("configmaps", "life", "default")


def test_trying_changes_nothing(connection: Connection) -> None:
    connection.create("configmaps", config_map("tried"), dry_run=True)
    connection.apply(config_map("tried"), dry_run=True)
    with pytest.raises(errors.NotFound):
        connection.get("configmaps", "tried", "default")


def test_applying_what_belongs_to_another_is_a_conflict(served: ClusterHandle, connection: Connection) -> None:
    served.call(lambda api: api.create("configmaps", config_map("shared", data={"a": "theirs"})))
    with pytest.raises(errors.Conflict) as refused:
        connection.apply(config_map("shared", data={"a": "ours"}))
    assert refused.value.causes[0]["field"] == ".data.a"
    assert "conflict with" in refused.value.causes[0]["message"]
    applied = connection.apply(config_map("shared", data={"a": "ours"}), force=True)
    assert applied["data"] == {"a": "ours"}
    assert FIELD_MANAGER in {each["manager"] for each in applied["metadata"]["managedFields"]}


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_lead_elsewhere_are_never_sent(name: str, ready: Connection, asked: list[str]) -> None:
    for call in (ready.get, ready.delete):
        with pytest.raises(errors.Invalid):
            call("configmaps", name, "default")
    with pytest.raises(errors.NotFound):
        ready.get("configmaps", "../secrets/x?y=z", "default")
    assert asked == ["GET"]


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "times"),
    [
        (400, errors.Invalid, 1),
        (401, errors.Unauthorized, 1),
        (403, errors.Forbidden, 1),
        (404, errors.NotFound, 1),
        (409, errors.Conflict, 1),
        (410, errors.Expired, 1),
        (422, errors.Invalid, 1),
        (429, errors.Throttled, requests.ATTEMPTS),
        (500, errors.Unavailable, requests.ATTEMPTS),
        (503, errors.Unavailable, requests.ATTEMPTS),
    ],
)
def test_every_status_has_its_error_and_only_those_that_pass_are_repeated(
    status: int,
    kind: type[errors.KubeError],
    times: int,
    served: ClusterHandle,
    ready: Connection,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)
    served.faults.fail(PATH, status=status, times=9)
    with pytest.raises(kind) as failed:
        ready.get("configmaps", "x", "default")
    assert type(failed.value) is kind
    assert failed.value.code == status
    assert asked == ["GET"] * times


def test_what_rbac_forbids_says_what_it_was(config: Kubeconfig, served: ClusterHandle) -> None:
    with Connection(with_token(config, served.api.tokens.issue("nobody"))) as nobody:
        with pytest.raises(errors.Forbidden, match=r"Not allowed to list secrets in default: .*nobody"):
            list(nobody.list("secrets", "default"))
        assert not nobody.can_i("list", "secrets", "default")


def test_wrong_credentials_are_named_as_such_and_not_repeated_in_the_message(config: Kubeconfig) -> None:
    with Connection(with_token(config, "canary5ecret")) as wrong, pytest.raises(errors.Unauthorized) as refused:
        wrong.get("namespaces", "default")
    assert "canary5ecret" not in str(refused.value)
    assert "canary5ecret" not in repr(wrong)


def test_what_is_invalid_names_the_fields(connection: Connection) -> None:
    with pytest.raises(errors.Invalid) as refused:
        connection.create("configmaps", config_map("Not A Name"))
    assert refused.value.code == 422
    assert refused.value.causes[0]["field"] == "metadata.name"


# -- repeating ---------------------------------------------------------------------------------------------------------


def test_reads_are_repeated_after_a_broken_connection(
    served: ClusterHandle, ready: Connection, asked: list[str]
) -> None:
    served.faults.drop("/namespaces/default$", times=2)
    assert ready.get("namespaces", "default")["kind"] == "Namespace"
    assert asked == ["GET"] * 3


def test_making_something_is_never_repeated_after_a_broken_connection(
    served: ClusterHandle, ready: Connection, asked: list[str]
) -> None:
    served.faults.drop(PATH)
    with pytest.raises(errors.Unreachable):
        ready.create("configmaps", config_map("once"))
    served.faults.fail(PATH, "POST", 500)
    with pytest.raises(errors.Unavailable):
        ready.create("configmaps", config_map("once"))
    served.faults.fail(PATH, "DELETE", 503)
    with pytest.raises(errors.Unavailable):
        ready.delete("configmaps", "once", "default")
    served.faults.fail(PATH, "PATCH", 503)
    with pytest.raises(errors.Unavailable):
        ready.patch("configmaps", "once", "default", {})
    assert asked == ["POST", "POST", "DELETE", "PATCH"]


def test_applying_and_deleting_by_uid_are_repeated(served: ClusterHandle, ready: Connection, asked: list[str]) -> None:
    served.faults.drop(PATH)
    made = ready.apply(config_map("again", data={"a": "1"}))
    served.faults.fail(PATH, "DELETE", 503)
    assert ready.delete("configmaps", "again", "default", uid=made["metadata"]["uid"])
    assert asked == ["PATCH", "PATCH", "DELETE", "DELETE"]


def test_a_busy_server_is_asked_again_when_it_says_so(
    served: ClusterHandle, ready: Connection, asked: list[str]
) -> None:
    served.faults.fail(PATH, "POST", 429, retry_after=1)
    began = time.monotonic()
    ready.create("configmaps", config_map("busy"))
    assert time.monotonic() - began >= 1
    assert asked == ["POST", "POST"]


def test_a_long_retry_after_does_not_hold_up_for_ever(
    served: ClusterHandle, ready: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LONGEST_PAUSE", 0.05)
    served.faults.fail(PATH, "GET", 429, times=9, retry_after=86_400)
    began = time.monotonic()
    with pytest.raises(errors.Throttled) as failed:
        list(ready.list("configmaps", "default"))
    assert failed.value.retry_after == 86_400
    assert time.monotonic() - began < 3


# -- the way there -------------------------------------------------------------------------------------------------


def failure(config: Kubeconfig, timeout: tuple[float, float] = (5, 30)) -> errors.KubeError:
    with Connection(config, timeout=timeout) as broken, pytest.raises(errors.KubeError) as failed:
        broken.json("GET", "/version")
    return failed.value


def test_slowness_has_a_limit(served: ClusterHandle, config: Kubeconfig, connection: Connection) -> None:
    served.faults.latency = 1.0
    began = time.monotonic()
    error = failure(config, timeout=(5, 0.2))
    assert isinstance(error, errors.Unreachable)
    assert "did not answer in time" in str(error)
    assert time.monotonic() - began < 0.9


def test_time_limits_of_any_form_are_kept(misbehaving: Misbehaving) -> None:
    with misbehaving(lambda client, _head: client.recv(1)) as config, Connection(config) as silent:
        for limits in ((5, 0.2), [5, 0.2]):
            began = time.monotonic()
            with pytest.raises(errors.Unreachable, match="did not answer in time"):
                silent.request("GET", "/version", timeout=limits)  # type: ignore[arg-type]
            assert time.monotonic() - began < 3


def test_an_authority_that_is_not_ours(config: Kubeconfig) -> None:
    other = replace(config, ca_data=certificates.authority("other").certificate)
    error = failure(other)
    assert isinstance(error, errors.Untrusted)
    assert "signed by an authority that the kubeconfig does not name" in str(error)


def test_a_certificate_for_another_host(config: Kubeconfig) -> None:
    error = failure(replace(config, tls_server_name="elsewhere.example.com"))
    assert isinstance(error, errors.Untrusted)
    assert "for another host" in str(error)
    with Connection(replace(config, tls_server_name="api.dev.example.com")) as named:
        assert named.version()["major"] == "1"


def test_an_expired_certificate_is_told_apart(misbehaving: Misbehaving) -> None:
    with misbehaving(lambda *_: None, datetime.timedelta(days=-1)) as config:
        error = failure(config)
    assert isinstance(error, errors.Untrusted)
    assert "has expired" in str(error)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("https://no-such-host.invalid", "cannot be resolved"),
        (f"https://{'a' * 70}.example.com", "https://aaa"),
        ("https://127.0.0.1:1", "refuses connections"),
    ],
)
def test_servers_that_are_not_there(server: str, says: str, config: Kubeconfig) -> None:
    error = failure(replace(config, server=server))
    assert isinstance(error, errors.Unreachable)
    assert says in str(error)


def test_a_port_that_does_not_speak_tls(config: Kubeconfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                client.recv(65536)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        error = failure(replace(config, server=f"https://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join(5)
    assert "Is it an HTTPS API server's address?" in str(error)


def replying(answer: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda client, _head: client.sendall(answer)


def whole(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return f"{head}\r\n\r\n".encode("latin-1") + body


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole("200 OK", b"<html>welcome</html>"), errors.Unavailable),
        (whole("200 OK", b""), errors.Unavailable),
        (whole("200 OK", b"\xff\xfe"), errors.Unavailable),
        (whole("404 Not Found", b"<html>gone</html>"), errors.NotFound),
        (whole("403 Forbidden", b"[1]"), errors.Forbidden),
        (whole("403 Forbidden", b'{"details": "text", "message": {"a": 1}, "reason": 5}'), errors.Forbidden),
        (whole("409 Conflict", b'{"details": {"causes": "text"}}'), errors.Conflict),
        (whole("429 Too Many", b"{}", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), errors.Throttled),
        (whole("429 Too Many", b"{}", "Retry-After: \xb2"), errors.Throttled),
        (whole("503 Away", b'{"details": {"retryAfterSeconds": "soon"}}'), errors.Unavailable),
        (whole("503 Away", b"{}", "Retry-After: -5"), errors.Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", errors.Unreachable),
        (b"this is not HTTP\r\n\r\n", errors.Unreachable),
        (b"", errors.Unreachable),
    ],
)
def test_answers_of_something_else(
    answer: bytes, kind: type[errors.KubeError], misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)
    with misbehaving(replying(answer)) as config, Connection(config) as connection:
        with pytest.raises(kind) as failed:
            connection.json("GET", "/version", timeout=(5, 5))
        assert type(failed.value) is kind
        assert isinstance(failed.value.causes, list)
        assert failed.value.retry_after is None


def test_redirects_are_not_followed_with_our_credentials(misbehaving: Misbehaving) -> None:
    heads: list[bytes] = []

    def answer(client: socket.socket, head: bytes) -> None:
        heads.append(head)
        client.sendall(whole("307 Temporary Redirect", b"", "Location: /elsewhere"))

    with misbehaving(answer) as config, Connection(config) as connection, pytest.raises(errors.Invalid):
        connection.version()
    assert len(heads) == 1
    assert b"Authorization: Bearer t" in heads[0]


def test_proxies_of_the_environment_are_not_used(config: Kubeconfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Connection(config) as connection:
        assert json.dumps(connection.version())


def test_many_threads_share_a_connection(connection: Connection) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            name = f"thread-{number}"
            connection.create("configmaps", config_map(name, data={"n": str(number)}))
            for _ in range(5):
                assert connection.get("configmaps", name, "default")["data"] == {"n": str(number)}
            connection.delete("configmaps", name, "default")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
