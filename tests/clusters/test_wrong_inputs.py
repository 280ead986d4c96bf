"""What people get wrong when they enter clusters and stores, over the API: each has a message of its own.

The clusters and the store really answer, over HTTPS and HTTP.
"""

from __future__ import annotations

import copy
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.cluster import certificates
from demo.s3 import RunningS3, running_s3
from teams.models import Role, Team
from tests.api.conftest import Caller, as_user
from tests.factories import member

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(team: Team) -> Caller:
    return as_user(member("anna", team, Role.ADMIN))


@pytest.fixture
def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def refused(answer: Any, field: str) -> str:
    """What the API says of the one field that it refuses."""
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"/{field}"
    return str(error["detail"])


def failed(answer: Any) -> tuple[str, str, str]:
    """Code, message and remedy of the one check that failed; the row is kept, and later checks are skipped."""
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert row["health"] == "failing"
    (check,) = [check for check in row["checks"] if check["status"] == "failure"]
    later = row["checks"][row["checks"].index(check) + 1 :]
    assert {each["status"] for each in later} <= {"skipped"}
    return check["code"], check["message"], check["remedy"]


# -- clusters


def kubeconfig(clusters: Any, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> str:
    """The kubeconfig of dev's administrator, with other words about the cluster, or another user."""
    config = copy.deepcopy(clusters["dev"].kubeconfig)
    config["clusters"][0]["cluster"].update(cluster or {})
    if user is not None:
        config["users"][0]["user"] = user
    return yaml.safe_dump(config)


def add(alice: Caller, text: str) -> Any:
    return alice.post("/clusters/", {"name": "dev", "kubeconfig": text})


def test_a_cluster_that_cannot_be_reached(clusters: Any, alice: Caller, free_port: int) -> None:
    server = f"https://127.0.0.1:{free_port}"
    code, message, remedy = failed(add(alice, kubeconfig(clusters, cluster={"server": server})))
    assert code == "reachable"
    assert message == f"{server} refuses connections. Is the API server running, and the port right?"
    assert "server address" in remedy


def test_a_cluster_whose_name_nobody_knows(clusters: Any, alice: Caller) -> None:
    server = "https://cluster.invalid:6443"
    code, message, _remedy = failed(add(alice, kubeconfig(clusters, cluster={"server": server})))
    assert code == "reachable"
    assert message == f"The host of {server} cannot be resolved. Check the server address in the kubeconfig."


def test_a_token_that_has_expired(clusters: Any, alice: Caller) -> None:
    account = "system:serviceaccount:default:default"
    expired = clusters["dev"].call(lambda api: api.tokens.issue(account, seconds=-60))
    code, message, remedy = failed(add(alice, kubeconfig(clusters, user={"token": expired})))
    assert code == "authentication"
    assert "the token or client certificate is wrong or has expired" in message
    assert "kubectl create token" in remedy
    assert expired not in message + remedy


def test_a_certificate_authority_that_is_not_the_clusters(clusters: Any, alice: Caller) -> None:
    other = clusters["prod"].kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]
    code, message, _remedy = failed(add(alice, kubeconfig(clusters, cluster={"certificate-authority-data": other})))
    assert code == "tls"
    assert "signed by an authority that the kubeconfig does not name" in message


def test_a_name_that_the_certificate_is_not_for(clusters: Any, alice: Caller) -> None:
    text = kubeconfig(clusters, cluster={"tls-server-name": "elsewhere.example.com"})
    code, message, _remedy = failed(add(alice, text))
    assert code == "tls"
    assert "is for another host" in message


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({}, {"exec": {"command": "aws"}}, ("exec", "run a program on this server", "kubectl create token")),
        ({}, {"auth-provider": {"name": "oidc"}}, ("auth-provider", "login plugin")),
        ({}, {"tokenFile": "/etc/passwd"}, ("tokenFile", "read a file on this server")),
        ({}, {"client-certificate": "a", "client-key": "b"}, ("client-certificate", "read a file", "--flatten")),
        ({}, {"username": "sesame", "password": "sesame"}, ("no longer accepts passwords",)),
        ({}, {}, ("neither a token nor a client certificate",)),
        ({"certificate-authority": "/etc/passwd"}, None, ("certificate-authority", "read a file")),
        ({"insecure-skip-tls-verify": True}, None, ("insecure-skip-tls-verify", "certificate-authority-data")),
        ({"proxy-url": "http://proxy.example.com"}, None, ("proxy-url",)),
        ({"server": "https://169.254.169.254"}, None, ("metadata",)),
        ({"server": "http://127.0.0.1:6443"}, None, ("https://",)),
    ],
)
def test_a_kubeconfig_that_is_not_taken(
    clusters: Any, alice: Caller, cluster: dict[str, Any], user: dict[str, Any] | None, words: tuple[str, ...]
) -> None:
    said = refused(add(alice, kubeconfig(clusters, cluster=cluster, user=user)), "kubeconfig")
    assert all(word in said for word in words), said
    assert "sesame" not in said
    assert alice.get("/clusters/").json()["count"] == 0


def test_an_account_that_lacks_permissions(clusters: Any, alice: Caller) -> None:
    account = "system:serviceaccount:default:default"
    token = clusters["dev"].call(lambda api: api.tokens.issue(account, seconds=3600))
    row = add(alice, kubeconfig(clusters, user={"token": token})).json()
    assert row["health"] == "warning"
    found = {check["code"]: check for check in row["checks"]}
    for side in ("source", "destination"):
        check = found[f"permissions-{side}"]
        assert check["status"] == "warning"
        assert f"lacks permissions to be the {side}" in check["message"]
        assert "create, patch, delete jobs.batch" in check["remedy"]
    listed = alice.get(f"/clusters/{row['id']}/namespaces/")
    assert listed.status_code >= 400
    assert listed.json()["detail"].startswith("Not allowed to list namespaces")


# -- object stores


def store(alice: Caller, s3: RunningS3, **changed: Any) -> Any:
    given = {
        "name": "moves",
        "endpoint": s3.endpoint,
        "bucket": s3.bucket,
        "access_key_id": s3.keys.access_key_id,
        "secret_access_key": s3.keys.secret_access_key,
    }
    return alice.post("/object-stores/", given | changed)


def test_a_bucket_that_is_missing(s3: RunningS3, alice: Caller) -> None:
    code, message, remedy = failed(store(alice, s3, bucket="nowhere"))
    assert (code, message) == ("bucket", "There is no bucket nowhere.")
    assert remedy == "Create the bucket, or correct its name."


def test_an_access_key_id_that_is_unknown(s3: RunningS3, alice: Caller) -> None:
    code, message, _remedy = failed(store(alice, s3, access_key_id="AKIASESAME"))
    assert (code, message) == ("credentials", f"{s3.endpoint} does not know this access key id.")


def test_a_secret_access_key_that_belongs_to_another_id(s3: RunningS3, alice: Caller) -> None:
    answer = store(alice, s3, secret_access_key=s3.read_only_keys.secret_access_key)
    code, message, _remedy = failed(answer)
    assert (code, message) == ("credentials", "The secret access key does not belong to this access key id.")
    assert s3.read_only_keys.secret_access_key not in answer.content.decode()


def test_a_bucket_that_may_only_be_read(s3: RunningS3, alice: Caller) -> None:
    keys = s3.read_only_keys
    answer = store(alice, s3, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
    code, message, remedy = failed(answer)
    assert (code, message) == ("put", "The key pair may only read: writing is refused.")
    assert "s3:PutObject" in remedy


@pytest.mark.parametrize(
    ("status", "said", "code", "words"),
    [
        (400, "AuthorizationHeaderMalformed", "bucket", "is not in region us-east-1"),
        (403, "RequestTimeTooSkewed", "credentials", "clock"),
        (403, "AccessDenied", "list", "may not list the bucket"),
        (503, "SlowDown", "reachable", "cannot serve now"),
    ],
)
def test_what_a_store_answers_is_put_into_words(
    s3: RunningS3, alice: Caller, status: int, said: str, code: str, words: str
) -> None:
    s3.faults.fail(".", status=status, code=said, times=50)
    try:
        found, message, remedy = failed(store(alice, s3))
    finally:
        s3.faults.clear()
    assert found == code
    assert words in message
    assert remedy


def test_a_store_that_cannot_be_reached(s3: RunningS3, alice: Caller, free_port: int) -> None:
    endpoint = f"http://127.0.0.1:{free_port}"
    code, message, _remedy = failed(store(alice, s3, endpoint=endpoint))
    assert (code, message) == ("reachable", f"{endpoint} does not answer.")


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningS3, str]]:
    """A store behind a certificate that only its own authority vouches for, and that authority's certificate."""
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = certificates.kept(folder, "ca", certificates.authority("private-ca"))
    assert authority is not None
    certificates.kept(folder, "server", certificates.issued(authority, "s3", hosts=("127.0.0.1", "localhost")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    with running_s3(folder / "objects", tls=context) as running:
        yield running, (folder / "ca.crt").read_text()


def test_a_store_whose_certificate_is_not_trusted(over_tls: tuple[RunningS3, str], alice: Caller) -> None:
    s3, _authority = over_tls
    code, message, remedy = failed(store(alice, s3))
    assert (code, message) == ("tls", f"The certificate of {s3.endpoint} is not trusted.")
    assert "CA bundle" in remedy


def test_the_authoritys_certificate_makes_it_trusted(over_tls: tuple[RunningS3, str], alice: Caller) -> None:
    s3, authority = over_tls
    row = store(alice, s3, ca_bundle=authority).json()
    assert {check["status"] for check in row["checks"]} == {"ok"}, row["checks"]
    assert row["health"] == "healthy"


def test_a_plain_endpoint_of_a_store_that_speaks_tls(over_tls: tuple[RunningS3, str], alice: Caller) -> None:
    s3, _authority = over_tls
    code, message, _remedy = failed(store(alice, s3, endpoint=s3.endpoint.replace("https", "http")))
    assert code == "reachable"
    assert message


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"endpoint": "http://169.254.169.254"}, "endpoint", "metadata"),
        ({"endpoint": "http://[fd00:ec2::254]"}, "endpoint", "metadata"),
        ({"endpoint": "http://100.100.100.200"}, "endpoint", "metadata"),
        ({"endpoint": "http://0.0.0.0:9000"}, "endpoint", "no server can be"),
        ({"endpoint": "ftp://s3.example.com"}, "endpoint", "https://s3.example.com"),
        ({"endpoint": "https://key:secret@s3.example.com"}, "endpoint", "https://s3.example.com"),
        ({"bucket": "Not_A_Bucket"}, "bucket", "3 to 63 lower-case letters"),
        ({"ca_bundle": "nonsense"}, "ca_bundle", "not a certificate in PEM"),
    ],
)
def test_a_store_that_is_not_taken(
    s3: RunningS3, alice: Caller, changed: dict[str, Any], field: str, words: str
) -> None:
    assert words in refused(store(alice, s3, **changed), field)
    assert alice.get("/object-stores/").json()["count"] == 0
