"""The newer way of `storkctl create clusterpair`: keys in a Secret and a BackupLocation on both clusters.

Portworx then looks for credentials `k8s/<namespace>/<name>`, which it reads from the BackupLocation (Portworx 2.6 and
later). The objects are those that storkctl writes; both carry Stork's marks, so that Stork deletes them with the pair
and never migrates them.
"""

from __future__ import annotations

from typing import Any

from clusters.kube.connection import Connection
from clusters.portworx.clusterpair import API_VERSION
from clusters.portworx.credentials import AzureKeys, GoogleKeys, Keys, S3Keys

RESOURCE = "backuplocations.stork.libopenstorage.org"
MARKS = {
    "stork.libopenstorage.org/created-by-stork": "true",
    "stork.libopenstorage.org/skip-resource": "true",
}

Object = dict[str, Any]


def secret(name: str, namespace: str, keys: Keys) -> Object:
    """The Secret, with the keys under the names that Stork reads."""
    values = {"type": keys.provider, "path": keys.bucket, "encryptionKey": ""}
    match keys:
        case S3Keys():
            values |= {
                "accessKeyID": keys.access_key,
                "secretAccessKey": keys.secret_key,
                "region": keys.region,
                "endpoint": keys.host(),
                "disableSSL": "true" if keys.disable_ssl else "false",
            }
        case AzureKeys():
            values |= {"storageAccountName": keys.account_name, "storageAccountKey": keys.account_key}
        case GoogleKeys():
            values |= {"projectID": keys.project_id, "accountKey": keys.json_key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(MARKS)},
        "type": "Opaque",
        "stringData": values,
    }


def location(name: str, namespace: str, keys: Keys) -> Object:
    """The BackupLocation; it has no secret of its own."""
    return {
        "apiVersion": API_VERSION,
        "kind": "BackupLocation",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(MARKS)},
        "location": {
            "encryptionKey": "",
            "encryptionV2Key": "",
            "path": "",
            "repositoryPassword": "",
            "secretConfig": name,
            "sync": False,
            "type": keys.provider,
        },
    }


def ensure(connection: Connection, name: str, namespace: str, keys: Keys) -> None:
    """Both on one cluster, as wanted. Raises KubeError."""
    connection.apply(secret(name, namespace, keys), force=True)
    connection.apply(location(name, namespace, keys), force=True)


def delete(connection: Connection, name: str, namespace: str) -> bool:
    """Delete what `ensure` made, and nothing that lacks its marks; whether there was anything."""
    found = False
    for resource in (RESOURCE, "secrets"):
        for row in connection.list(resource, namespace, field_selector=f"metadata.name={name}"):
            annotations = row["metadata"].get("annotations") or {}
            if annotations.items() >= MARKS.items():
                found |= connection.delete(resource, name, namespace, uid=row["metadata"]["uid"])
    return found
