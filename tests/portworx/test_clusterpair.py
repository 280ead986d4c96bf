"""The ClusterPair document equals what `storkctl generate clusterpair` printed from the same kubeconfig."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.portworx import backuplocation, clusterpair, following
from clusters.portworx.clusterpair import Mode
from clusters.portworx.credentials import AzureKeys, GoogleKeys, S3Keys
from demo.cluster import certificates
from tests.portworx_estate import replaying

RECORDED = Path(replaying.RECORDINGS) / "clusterpair-generated.yaml"
CANARY = "open-sesame-canary"


def kubeconfig_of(*, authority: str, certificate: str, key: str) -> dict[str, Any]:
    """The kubeconfig of the recording's destination, with a second context that must be left out."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dst",
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "dst", "context": {"cluster": "dst", "user": "dst-admin"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example.com"}},
            {"name": "dst", "cluster": {"server": "https://127.0.0.1:46443", "certificate-authority-data": authority}},
        ],
        "users": [
            {"name": "other", "user": {"token": CANARY}},
            {"name": "dst-admin", "user": {"client-certificate-data": certificate, "client-key-data": key}},
        ],
    }


@pytest.fixture(scope="module")
def kubeconfig() -> str:
    import base64

    authority = certificates.authority("ca")
    issued = certificates.issued(authority, "admin")
    encoded = {
        "authority": base64.b64encode(authority.certificate.encode()).decode(),
        "certificate": base64.b64encode(issued.certificate.encode()).decode(),
        "key": base64.b64encode(issued.key.encode()).decode(),
    }
    return yaml.safe_dump(kubeconfig_of(**encoded))


def redacted(text: str) -> str:
    """The data of certificates and keys as the recording has them."""
    lines = []
    for line in text.splitlines(keepends=True):
        name, colon, _ = line.partition("-data: ")
        lines.append(f"{name}{colon}<base64>\n" if colon else line)
    return "".join(lines)


def test_it_equals_what_storkctl_generated(kubeconfig: str) -> None:
    document = clusterpair.generate(kubeconfig, name="prodcluster", namespace="cms", origin="dst.kubeconfig")
    assert redacted(clusterpair.to_yaml(document)) == RECORDED.read_text()


def test_options_take_the_place_of_the_placeholder(kubeconfig: str) -> None:
    options = clusterpair.options_for(
        host="px.example.com", port=9001, token="t" * 128, mode=Mode.DISASTER_RECOVERY, backup_location="prodcluster"
    )
    document = clusterpair.generate(kubeconfig, name="prodcluster", namespace="cms", options=options)
    assert document["spec"]["options"] == {
        "ip": "px.example.com",
        "port": "9001",
        "token": "t" * 128,
        "mode": "DisasterRecovery",
        "backuplocation": "prodcluster",
    }
    # A number in quotes: Stork's options are strings.
    assert 'port: "9001"' in clusterpair.to_yaml(document)
    applied = clusterpair.to_apply(document)
    assert "status" not in applied
    assert applied["metadata"] == {"name": "prodcluster", "namespace": "cms"}


def test_no_secret_is_left_in_the_masked_document(kubeconfig: str) -> None:
    options = clusterpair.options_for(host="px.example.com", port=9001, token=CANARY)
    document = clusterpair.generate(kubeconfig, name="prodcluster", namespace="cms", options=options)
    document["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": CANARY, "team": "a"}
    document["spec"]["config"]["users"]["dst-admin"]["token"] = CANARY
    text = clusterpair.to_yaml(clusterpair.masked(document))
    assert CANARY not in text
    for name in ("certificate-authority-data", "client-certificate-data", "client-key-data", "token"):
        assert f"{name}: '***'" in text or f'{name}: "***"' in text or f"{name}: ***" in text
    assert "server: https://127.0.0.1:46443" in text
    # The document itself is as it was.
    assert document["spec"]["options"]["token"] == CANARY


@pytest.mark.parametrize("name", ["", "Prod", "-prod", "prod_cluster", "p" * 254])
def test_names_that_kubernetes_does_not_take_are_refused(kubeconfig: str, name: str) -> None:
    with pytest.raises(ValueError, match="is not valid"):
        clusterpair.generate(kubeconfig, name=name, namespace="cms")
    with pytest.raises(ValueError, match="the Namespace"):
        clusterpair.generate(kubeconfig, name="prodcluster", namespace=name or "UPPER")


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (
            S3Keys(region="us-west-2", access_key="AK", secret_key="SK", bucket="bk"),
            {
                "accessKeyID": "AK",
                "disableSSL": "false",
                "encryptionKey": "",
                "endpoint": "s3.us-west-2.amazonaws.com",
                "path": "bk",
                "region": "us-west-2",
                "secretAccessKey": "SK",
                "type": "s3",
            },
        ),
        (
            AzureKeys("account", "key", bucket="container"),
            {
                "storageAccountName": "account",
                "storageAccountKey": "key",
                "path": "container",
                "encryptionKey": "",
                "type": "azure",
            },
        ),
        (
            GoogleKeys("project", "{}", bucket="bk"),
            {"projectID": "project", "accountKey": "{}", "path": "bk", "encryptionKey": "", "type": "google"},
        ),
    ],
)
def test_secret_and_backup_location_are_as_storkctl_makes_them(keys: Any, values: dict[str, str]) -> None:
    """As in the recording of `storkctl create clusterpair c3`."""
    secret = backuplocation.secret("c3", "cms", keys)
    assert secret["stringData"] == values
    assert secret["type"] == "Opaque"
    marks = {"stork.libopenstorage.org/created-by-stork": "true", "stork.libopenstorage.org/skip-resource": "true"}
    location = backuplocation.location("c3", "cms", keys)
    assert secret["metadata"]["annotations"] == location["metadata"]["annotations"] == marks
    assert location["location"]["secretConfig"] == "c3"
    assert location["location"]["type"] == keys.provider
    assert set(location["location"]) == {
        "encryptionKey",
        "encryptionV2Key",
        "path",
        "repositoryPassword",
        "secretConfig",
        "sync",
        "type",
    }


def pair(storage: str, scheduler: str, *messages: str) -> following.PairState:
    warnings = tuple(following.Happening("Warning", "Error", message, 1, "") for message in messages)
    return following.PairState(uid="u", storage_status=storage, scheduler_status=scheduler, events=warnings)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("rpc error: code = Unauthenticated desc = Failed to pair: Token authentication failed", "wrong-token"),
        (
            "rpc error: code = NotFound desc = Failed to pair: credential clusterPair_x not found in local cluster y",
            "credential-name",
        ),
        ("Failed to pair: validation of credential c failed in local cluster: SignatureDoesNotMatch: …", "bad-keys"),
        ('Post "http://a:9001": dial tcp: lookup a: no such host', "unreachable-endpoint"),
        ('Post "http://a:9002": dial tcp a:9002: connect: connection refused', "unreachable-endpoint"),
        ("dial tcp 10.0.0.1:9001: i/o timeout", "unreachable-endpoint"),
        (
            'invalid port (notaport) specified for cluster pair: strconv.ParseUint: parsing "notaport": invalid syntax',
            "invalid-port",
        ),
        ("read tcp: connection reset by peer", "tls"),
        ("something nobody has seen", "other"),
    ],
)
def test_each_refusal_of_portworx_is_shown_with_cause_and_remedy(message: str, cause: str) -> None:
    found = following.storage_meaning(pair("Error", "Ready", 'Get "https://x/version": refused', message))
    assert (found.state, found.cause, found.said) == ("failure", cause, message)
    assert found.remedy


def test_each_state_of_the_scheduler_is_explained() -> None:
    refused = 'Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: connection refused'
    found = following.scheduler_meaning(pair("NotProvided", "Error", refused))
    assert (found.state, found.cause, found.said) == ("failure", "unreachable-api-server", refused)
    assert following.scheduler_meaning(pair("Ready", "Ready")).state == "ok"
    assert following.scheduler_meaning(pair("Ready", "")).cause == "unusable-kubeconfig"
    assert following.scheduler_meaning(pair("", ""), waited=5).state == "waiting"
    assert following.scheduler_meaning(pair("", ""), waited=500).cause == "no-stork"


def test_each_state_of_the_storage_is_explained() -> None:
    assert following.storage_meaning(pair("Ready", "Ready")).state == "ok"
    assert following.storage_meaning(pair("NotProvided", "Ready")).cause == "no-storage-options"
    assert following.storage_meaning(pair("", "Ready"), waited=5).state == "waiting"
    assert following.storage_meaning(pair("", "Ready"), waited=500).cause == "no-stork"
    assert following.storage_meaning(pair("Pending", "Ready")).state == "waiting"
