"""What a pasted kubeconfig may say, what is refused, and that no message repeats a secret."""

from __future__ import annotations

import base64
import copy
import string
import time
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.kube.errors import KubeError
from clusters.kube.kubeconfig import KubeconfigError, minimal, parse
from demo.cluster import certificates

CA = certificates.authority("ca")
ADMIN = certificates.issued(CA, "admin")
CANARY = "canary5ecret"

Document = dict[str, Any]


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def document(user: Any = None, cluster: Any = None, **fields: Any) -> Document:
    authority = {"server": "https://one.example.com:6443", "certificate-authority-data": data(CA.certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
        "clusters": [{"name": "one", "cluster": authority | (cluster or {})}],
        "users": [{"name": "me", "user": user if user is not None else {"token": CANARY}}],
    } | fields


def read(*arguments: Any, **options: Any) -> kubeconfig.Kubeconfig:
    return parse(yaml.safe_dump(document(*arguments, **options)))


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(KubeconfigError) as refused:
        read(*arguments, **options)
    assert CANARY not in str(refused.value)
    return str(refused.value)


PAIR = {"client-certificate-data": data(ADMIN.certificate), "client-key-data": data(ADMIN.key)}


def test_a_token() -> None:
    found = read()
    assert (found.server, found.context, found.user) == ("https://one.example.com:6443", "here", "me")
    assert (found.token, found.namespace, found.ca_data) == (CANARY, "default", CA.certificate)
    assert CANARY not in repr(found)


def test_a_client_certificate() -> None:
    found = read(PAIR)
    assert (found.client_certificate, found.client_key, found.token) == (ADMIN.certificate, ADMIN.key, None)
    assert "PRIVATE KEY" not in repr(found)


def test_the_only_context_need_not_be_current_and_namespaces_and_server_names_are_kept() -> None:
    contexts = [{"name": "here", "context": {"cluster": "one", "user": "me", "namespace": "cms"}}]
    found = parse(
        yaml.safe_dump(document(cluster={"tls-server-name": "two"}, contexts=contexts) | {"current-context": ""})
    )
    assert (found.context, found.namespace, found.tls_server_name) == ("here", "cms", "two")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("exec", {"command": "aws", "env": [{"name": "KEY", "value": CANARY}]}, "run a program"),
        ("auth-provider", {"name": "gcp", "config": {"access-token": CANARY}}, "login plugin"),
        ("tokenFile", f"/etc/{CANARY}", "read a file"),
        ("client-certificate", f"/etc/{CANARY}", "read a file"),
        ("client-key", f"/etc/{CANARY}", "read a file"),
        ("username", CANARY, "passwords"),
        ("password", CANARY, "passwords"),
        ("as", CANARY, "Impersonation"),
    ],
)
def test_what_a_user_may_not_have(field: str, value: Any, says: str) -> None:
    message = refusal({"token": CANARY, field: value})
    assert f"`{field}`" in message
    assert says in message


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("certificate-authority", f"/etc/{CANARY}", "read a file"),
        ("proxy-url", f"http://me:{CANARY}@proxy", "straight to the API server"),
        ("insecure-skip-tls-verify", True, "certificate-authority-data"),
    ],
)
def test_what_a_cluster_may_not_have(field: str, value: Any, says: str) -> None:
    message = refusal(cluster={field: value})
    assert field in message
    assert says in message


@pytest.mark.parametrize(
    "server",
    [
        "http://one.example.com",
        "one.example.com:6443",
        f"https://me:{CANARY}@one.example.com",
        f"https://one.example.com/?token={CANARY}",
        "https://one.example.com/#x",
        "https://",
        "https://one.example.com:99999",
        "https://one.example.com:0",
        "https://one example.com",
        "https://one.exam\x00ple.com",
        "https://[::1",
        "",
        None,
        ["https://one.example.com"],
    ],
)
def test_servers_that_are_refused(server: Any) -> None:
    assert "must be an https:// address" in refusal(cluster={"server": server})


@pytest.mark.parametrize(
    ("server", "becomes"),
    [
        ("https://one.example.com/k8s/clusters/c-1/", "https://one.example.com/k8s/clusters/c-1"),
        ("HTTPS://One.example.com", "https://One.example.com"),
        ("https://[::1]:6443", "https://[::1]:6443"),
    ],
)
def test_servers_that_are_accepted(server: str, becomes: str) -> None:
    assert read(cluster={"server": server}).server == becomes


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"current-context": "none"}, "no context named 'none'"),
        ({"contexts": []}, "no context named 'here'"),
        ({"contexts": {"name": "here"}}, "no context named 'here'"),
        ({"contexts": {"a": 1}, "current-context": None}, "no current-context"),
        ({"contexts": 5, "current-context": None}, "no current-context"),
        ({"contexts": [{"name": "here", "context": {"user": "me"}}]}, "has no cluster named in it"),
        ({"contexts": [{"name": "here", "context": {"cluster": "one"}}]}, "has no user named in it"),
        ({"contexts": [{"name": "here", "context": {"cluster": "one", "user": {"token": CANARY}}}]}, "no user named"),
        ({"clusters": []}, "no cluster named 'one'"),
        ({"users": []}, "no user named 'me'"),
        ({"users": [{"name": "me"}]}, "no user named 'me'"),
        ({"users": [{"name": "me", "user": CANARY}]}, "no user named 'me'"),
        ({"contexts": [{"name": "here", "context": {"user": "me"}}], "clusters": [{"cluster": {}}]}, "no cluster"),
    ],
)
def test_missing_parts(fields: Document, says: str) -> None:
    assert says in refusal(**fields)


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({}, "neither a token nor a client certificate"),
        ({"client-certificate-data": data(ADMIN.certificate)}, "neither a token nor a client certificate"),
        ({"token": f"{CANARY} {CANARY}"}, "spaces or line breaks"),
        ({"token": {"a": CANARY}}, "spaces or line breaks"),
        (PAIR | {"client-key-data": f"%{CANARY}%"}, "client-key-data in the kubeconfig is not valid base64"),
        (PAIR | {"client-key-data": data(CANARY)}, "not a PEM private key"),
        (PAIR | {"client-certificate-data": data(CANARY)}, "not a PEM certificate"),
        (PAIR | {"client-key-data": data(certificates.authority("x").key)}, "do not belong together"),
    ],
)
def test_credentials_that_cannot_be_used(user: Document, says: str) -> None:
    assert says in refusal(user)


def test_a_key_with_a_passphrase_is_refused_rather_than_asked_for() -> None:
    private = serialization.load_pem_private_key(ADMIN.key.encode(), None)
    locked = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(CANARY.encode()),
    ).decode()
    assert "passphrase" in refusal(PAIR | {"client-key-data": data(locked)})


def test_base64_may_be_broken_into_lines() -> None:
    lines = base64.encodebytes(CA.certificate.encode()).decode()
    assert read(cluster={"certificate-authority-data": lines}).ca_data == CA.certificate


def test_authorities_with_comments_in_other_scripts_are_accepted() -> None:
    found = read(cluster={"certificate-authority-data": data(f"# 集群的证书\n{CA.certificate}")})
    Connection(found).close()
    assert "not a PEM certificate" in refusal(cluster={"certificate-authority-data": data("# 集群的证书")})


def test_a_key_that_tls_does_not_take_is_explained() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    pem = weak.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    config = kubeconfig.Kubeconfig("https://x", "c", "u", client_certificate=ADMIN.certificate, client_key=pem)
    with pytest.raises(KubeError, match="cannot be used for TLS"):
        Connection(config)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "[1, 2]",
        "a: b",
        "a: [",
        f"token: {CANARY}\n\t- x: [",
        "clusters: &a [*a]",
        "!!python/object/apply:os.system [id]",
        'clusters: !!int ""',
        "clusters: !!timestamp x",
        "clusters: !!bool x",
        "clusters: 2026-99-99",
        "\x00",
        "\ud800",
        "[" * 5000,
        "clusters: 1" + "1" * 5000,
    ],
)
def test_what_is_not_a_kubeconfig(text: str) -> None:
    with pytest.raises(KubeconfigError) as refused:
        parse(text)
    assert CANARY not in str(refused.value)


def test_the_largest_text_is_read_in_reasonable_time() -> None:
    with pytest.raises(KubeconfigError, match="larger than"):
        parse("é" * kubeconfig.MOST_BYTES)
    for piece in ("[", "{a: ", "- ", "? ", "a: &a b\n", '"', "!a "):
        began = time.monotonic()
        with pytest.raises(KubeconfigError):
            parse((piece * kubeconfig.MOST_BYTES)[: kubeconfig.MOST_BYTES])
        assert time.monotonic() - began < 15, piece


def test_minimal_keeps_one_context_only() -> None:
    whole = document()
    whole["users"].append({"name": "other", "user": {"token": CANARY[::-1]}})
    kept = minimal(yaml.safe_dump(whole))
    assert CANARY[::-1] not in kept
    assert parse(kept) == parse(yaml.safe_dump(whole))


# -- whatever else somebody may paste --------------------------------------------------------------------------------

NAMES = ("contexts", "clusters", "users", "current-context", "name", "context", "cluster", "user", "server", "token")
WORDS = st.sampled_from([*NAMES, "here", "one", "me", "client-key-data", "exec", "namespace", "https://x"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.just(CANARY), st.text(max_size=8), st.dates()
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(), inner, max_size=4),
    max_leaves=8,
)


def only_its_own_error(text: str) -> None:
    for read_it in (parse, minimal):
        message = ""
        try:
            read_it(text)
        except KubeconfigError as refused:
            message = str(refused)
        assert CANARY not in message


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.lists(st.sampled_from(("contexts", "clusters", "users")), max_size=1),
    field=WORDS,
    tree=TREES,
    replaced=TREES,
)
def test_any_tree_is_read_or_refused(path: list[str], field: str, tree: Any, replaced: Any) -> None:
    only_its_own_error(yaml.safe_dump(tree, allow_unicode=True))
    whole = copy.deepcopy(document())
    target = whole
    for step in path:
        target = whole[step][0]
        inner = target[step.removesuffix("s")]
        if field in inner or field not in target:
            target = inner
    # A name is no secret, and is repeated so that it can be found.
    names = ("name", "current-context", "cluster", "user", "context")
    target[field] = replaced if not (field in names and replaced == CANARY) else "other"
    only_its_own_error(yaml.safe_dump(whole, allow_unicode=True))


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text(alphabet=string.punctuation + "\n\t 0a", max_size=60))
@example('? !!float ""')
@example("!!omap [1]")
@example("!!set [1]")
@example("<<: [1]")
@example("!!binary é")
@example("0001-01-01 00:00:00+99:99")
@example("=")
def test_any_text_is_read_or_refused(text: str) -> None:
    only_its_own_error(text)
    only_its_own_error(f"clusters: []\nusers: [{CANARY}]\ncontexts:\n- {text}")


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 2000), length=st.integers(0, 40), with_what=st.text(max_size=6))
def test_a_damaged_kubeconfig_is_read_or_refused(at: int, length: int, with_what: str) -> None:
    text = yaml.safe_dump(document({"token": CANARY, **PAIR}))
    at %= len(text)
    only_its_own_error(text[:at] + with_what + text[at + length :])
