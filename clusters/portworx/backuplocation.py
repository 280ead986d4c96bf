"""The newer way of `storkctl create clusterpair`: keys in a Secret and a BackupLocation on both clusters.

Portworx then looks for credentials `k8s/<namespace>/<name>`, which it reads from the BackupLocation (Portworx 2.6 and
later). The objects are those that storkctl writes; both carry Stork's marks, so that Stork deletes them with the pair
and never migrates them, and ours, which tells them from what storkctl and people made.
"""

from __future__ import annotations

import base64
from typing import Any

from clusters.kube.connection import Connection
from clusters.portworx.clusterpair import API_VERSION
from clusters.portworx.credentials import AzureKeys, GoogleKeys, Keys, S3Keys
from clusters.portworx.ownership import MANAGED_BY, is_ours

RESOURCE = "backuplocations.stork.libopenstorage.org"
MARKS = {
    "stork.libopenstorage.org/created-by-stork": "true",
    "stork.libopenstorage.org/skip-resource": "true",
}

Object = dict[str, Any]


class OthersError(Exception):
    """An object of that kind is there which others made and which says something else; nothing was written.

    `is_for_a_pair` says whether it may be taken over: storkctl made it for a ClusterPair.
    """

    def __init__(self, kind: str, *, is_for_a_pair: bool) -> None:
        super().__init__(kind)
        self.kind = kind
        self.is_for_a_pair = is_for_a_pair


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
        "metadata": _metadata(name, namespace),
        "type": "Opaque",
        "stringData": values,
    }


def _metadata(name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace, "annotations": dict(MARKS), "labels": dict(MANAGED_BY)}


def location(name: str, namespace: str, keys: Keys) -> Object:
    """The BackupLocation; it has no secret of its own."""
    return {
        "apiVersion": API_VERSION,
        "kind": "BackupLocation",
        "metadata": _metadata(name, namespace),
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


def ensure(connection: Connection, name: str, namespace: str, keys: Keys, *, take_over: bool = False) -> None:
    """Both on one cluster, as wanted. What says the same already is left as it is, whoever made it.

    What others made and says something else raises OthersError before anything is written. With `take_over` what
    storkctl made is written anew; what nobody says to be made for a pair never is. Raises KubeError.
    """
    pairs = [
        (obj, _present(connection, obj)) for obj in (secret(name, namespace, keys), location(name, namespace, keys))
    ]
    for obj, there in pairs:
        if there is None or is_ours(there) or _says_the_same(there, obj):
            continue
        if not (take_over and _is_made_for_a_pair(there)):
            raise OthersError(obj["kind"], is_for_a_pair=_is_made_for_a_pair(there))
    for obj, there in pairs:
        if there is None:
            connection.create(_resource(obj), obj)
        elif not _says_the_same(there, obj) or (is_ours(there) and _is_longer(there, obj)):
            # Whole, so that no key of an earlier store stays; never over what changed since it was read.
            version = there["metadata"]["resourceVersion"]
            connection.replace({**obj, "metadata": {**obj["metadata"], "resourceVersion": version}})


def differences(connection: Connection, name: str, namespace: str, keys: Keys) -> tuple[list[str], list[str]]:
    """The kinds of those that are missing, and of those that say something else than is wanted. Raises KubeError."""
    pairs = [
        (obj, _present(connection, obj)) for obj in (secret(name, namespace, keys), location(name, namespace, keys))
    ]
    missing = [obj["kind"] for obj, there in pairs if there is None]
    return missing, [obj["kind"] for obj, there in pairs if there is not None and not _says_the_same(there, obj)]


def _present(connection: Connection, obj: Object) -> Object | None:
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    return next(iter(connection.list(_resource(obj), namespace, field_selector=f"metadata.name={name}")), None)


def _resource(obj: Object) -> str:
    return "secrets" if obj["kind"] == "Secret" else RESOURCE


def _says_the_same(there: Object, wanted: Object) -> bool:
    """Whether a Secret or BackupLocation that is there holds all that is wanted."""
    if wanted["kind"] == "Secret":
        data = there.get("data") or {}
        return all(data.get(key) == _encoded(value) for key, value in wanted["stringData"].items())
    spec = there.get("location") or {}
    return all((spec.get(key) or "") == (value or "") for key, value in wanted["location"].items())


def _is_longer(there: Object, wanted: Object) -> bool:
    return wanted["kind"] == "Secret" and bool((there.get("data") or {}).keys() - wanted["stringData"].keys())


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _is_made_for_a_pair(there: Object) -> bool:
    """Whether it bears the marks that storkctl gives to what it makes for a ClusterPair, and Stork deletes with it."""
    return bool((there["metadata"].get("annotations") or {}).items() >= MARKS.items())


def delete(connection: Connection, name: str, namespace: str) -> list[str]:
    """Delete what `ensure` made, and nothing that others made; the kinds of what stays."""
    left = []
    for resource, kind in ((RESOURCE, "BackupLocation"), ("secrets", "Secret")):
        for row in connection.list(resource, namespace, field_selector=f"metadata.name={name}"):
            if is_ours(row):
                connection.delete(resource, name, namespace, uid=row["metadata"]["uid"])
            else:
                left.append(kind)
    return left
