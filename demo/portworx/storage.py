"""One cluster's Portworx: its identity, token, credentials, pairs and tasks, kept in the cluster's state.

Portworx clusters of one process reach each other by the addresses of their `portworx-service`, as real ones do through
load balancers. What Portworx itself says when a pair is refused is not public: those texts are in its style, and no
more than that. The others are Portworx' own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from demo.cluster.controllers.loop import find
from demo.portworx import foreign
from demo.portworx.pace import NETWORK_SECONDS

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
SERVICE = "portworx-service"
BACKUP_LOCATIONS = "backuplocations.stork.libopenstorage.org"
PORT = 9001
VERSION = "3.5.0.0-7f2a1c4"


class StorageError(Exception):
    """What Portworx answers when it cannot do what it was asked."""


class Storage:
    """What a Portworx cluster remembers; every change is written at once."""

    def __init__(self, api: ClusterAPI, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self._path = api.state / "portworx.json"
        if self._path.exists():
            self._data: Object = json.loads(self._path.read_text())
        else:
            self._data = {
                "uuid": str(uuid.uuid4()),
                "token": secrets.token_hex(64),
                "credentials": [],
                "pairs": [],
                "tasks": [],
            }
            self._save()

    def _save(self) -> None:
        """Replace the file in one step, readable by its owner only: it holds keys."""
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._data, file, indent=1)
        fresh.replace(self._path)

    @property
    def uuid(self) -> str:
        """The cluster's UUID."""
        return str(self._data["uuid"])

    @property
    def name(self) -> str:
        """The cluster's id, as its administrators chose it."""
        return f"px-{self.api.name}"

    @property
    def token(self) -> str:
        """The token with which others pair."""
        return str(self._data["token"])

    def reset_token(self) -> str:
        """Make a new token; the old one is refused from then on."""
        self._data["token"] = secrets.token_hex(64)
        self._save()
        return self.token

    @property
    def credentials(self) -> list[Object]:
        """All credentials, oldest first."""
        return list(self._data["credentials"])

    def add_credential(self, fields: Object) -> Object:
        """Keep credentials for an object store, once that has accepted them. Raises StorageError."""
        if any(each["name"] == fields["name"] for each in self.credentials):
            raise StorageError(f"Credential with name {fields['name']} already exists")
        self._data["credentials"].append({"id": str(uuid.uuid4()), **fields})
        self._save()
        return dict(self._data["credentials"][-1])

    def credential(self, name: str) -> Object | None:
        """The credentials with this name or id; those of a BackupLocation are called k8s/NAMESPACE/NAME."""
        if name.startswith("k8s/"):
            return self._of_location(*name.split("/")[1:3])
        return next((each for each in self.credentials if name in (each["name"], each["id"])), None)

    def _of_location(self, namespace: str, name: str) -> Object | None:
        """What a BackupLocation and its Secret say: Portworx reads them whenever it needs them."""
        location = find(self.api, BACKUP_LOCATIONS, namespace, name)
        secret = find(self.api, "secrets", namespace, (location or {}).get("location", {}).get("secretConfig") or "-")
        if location is None or secret is None:
            return None
        values = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
        return {
            "id": str(location["metadata"]["uid"]),
            "name": f"k8s/{namespace}/{name}",
            "provider": location["location"]["type"],
            "access_key": values.get("accessKeyID", ""),
            "secret_key": values.get("secretAccessKey", ""),
            "region": values.get("region", ""),
            "endpoint": values.get("endpoint", ""),
            "bucket": values.get("path", ""),
            "disable_ssl": values.get("disableSSL") == "true",
            "account": values.get("storageAccountName") or values.get("projectID", ""),
            "account_key": values.get("storageAccountKey") or values.get("accountKey", ""),
        }

    def remove_credential(self, name: str) -> None:
        """Forget credentials. Raises StorageError."""
        found = self.credential(name)
        if found is None:
            raise StorageError(f"Credential {name} not found")
        self._data["credentials"].remove(found)
        self._save()

    @property
    def pairs(self) -> list[Object]:
        """The clusters that this one was paired with."""
        return list(self._data["pairs"])

    def add_pair(self, pair: Object) -> None:
        """Keep a pair; a new one with the same cluster takes its place."""
        self._data["pairs"] = [each for each in self.pairs if each["id"] != pair["id"]] + [pair]
        self._save()

    def remove_pair(self, identity: str) -> None:
        """Forget a pair."""
        self._data["pairs"] = [each for each in self.pairs if each["id"] != identity]
        self._save()

    @property
    def tasks(self) -> list[Object]:
        """The migrations of volumes, oldest first."""
        return list(self._data["tasks"])

    def task(self, identity: str) -> Object | None:
        """The task with this id."""
        return next((each for each in self.tasks if each["id"] == identity), None)

    def keep_task(self, task: Object) -> None:
        """Keep a task, or how far it has come."""
        self._data["tasks"] = [each for each in self.tasks if each["id"] != task["id"]] + [task]
        self._save()

    def volume_path(self, volume: str) -> Path:
        """The folder behind a PersistentVolume of this cluster."""
        return self.api.state / "volumes" / volume

    def addresses(self) -> set[str]:
        """The names and addresses under which others reach this cluster's Portworx."""
        service = find(self.api, "services", self.namespace, SERVICE)
        if service is None:
            return set()
        found = {service["spec"].get("clusterIP", "")}
        for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress") or ():
            found |= {ingress.get("hostname", ""), ingress.get("ip", "")}
        for node in self.api.list("nodes"):
            found |= {each["address"] for each in node["status"].get("addresses", ())}
        return found - {""}


# The Portworx clusters of this process.
_known: dict[Path, Storage] = {}


def storage_of(api: ClusterAPI, namespace: str = "kube-system") -> Storage:
    """The Portworx of the cluster."""
    found = _known.get(api.state)
    if found is None or found.api.store is not api.store:
        found = _known[api.state] = Storage(api, namespace)
    return found


def forget(api: ClusterAPI) -> None:
    """The cluster stops: nobody reaches its Portworx any more."""
    _known.pop(api.state, None)


def at_address(host: str, port: int) -> Storage:
    """The Portworx cluster behind an address. Raises StorageError when nobody answers there."""
    name = host.removeprefix("http://").removeprefix("https://").rstrip("/")
    url = f"http://{name}:{port}/v1/cluster/pair"
    for each in list(_known.values()):
        if name in each.addresses():
            if port != PORT:
                raise StorageError(f'Post "{url}": dial tcp {name}:{port}: connect: connection refused')
            return each
    if name.replace(".", "").isdigit():
        raise StorageError(f'Post "{url}": dial tcp {name}:{port}: connect: no route to host')
    raise StorageError(f'Post "{url}": dial tcp: lookup {name}: no such host')


def pair(local: Storage, options: dict[str, str], credential: str = "") -> str:
    """Pair with the cluster that the options name; its UUID. Raises StorageError."""
    try:
        port = int(options.get("port") or PORT)
    except ValueError:
        given = options["port"]
        raise StorageError(
            f'invalid port ({given}) specified for cluster pair: strconv.ParseUint: parsing "{given}": invalid syntax'
        ) from None
    remote = at_address(options.get("ip", ""), port)
    if not secrets.compare_digest(options["token"], remote.token):
        raise StorageError("rpc error: code = Unauthenticated desc = Failed to pair: Token authentication failed")
    wanted = credential or f"clusterPair_{remote.uuid}"
    for side, where in ((local, "local"), (remote, "remote")):
        found = side.credential(wanted)
        if found is None:
            raise StorageError(
                f"rpc error: code = NotFound desc = Failed to pair: credential {wanted} not found in {where} cluster "
                f"{side.uuid}"
            )
        try:
            validate(found)
        except StorageError as refusal:
            raise StorageError(
                f"rpc error: code = Internal desc = Failed to pair: validation of credential {wanted} failed in "
                f"{where} cluster: {refusal}"
            ) from None
    made = {"id": remote.uuid, "name": remote.name, "endpoint": f"{options['ip']}:{port}", "credential": wanted}
    local.add_pair(made)
    return remote.uuid


def paired(local: Storage, identity: str) -> tuple[Storage, Object]:
    """The other cluster of a pair, and the credentials between them. Raises StorageError."""
    known = next((each for each in local.pairs if each["id"] == identity), None)
    if known is None:
        raise StorageError(f"Cluster pair {identity} not found")
    host, _, port = known["endpoint"].rpartition(":")
    credential = local.credential(known["credential"])
    if credential is None:
        raise StorageError(f"Credential {known['credential']} not found")
    return at_address(host, int(port)), credential


def endpoint_url(credential: Object) -> str:
    """The credentials' endpoint with a scheme."""
    endpoint = str(credential["endpoint"])
    if "://" in endpoint:
        return endpoint
    return f"{'http' if credential.get('disable_ssl') else 'https'}://{endpoint}"


def client(credential: Object) -> Any:
    """A client of the credentials' object store."""
    config = Config(
        connect_timeout=NETWORK_SECONDS,
        read_timeout=NETWORK_SECONDS,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url(credential),
        region_name=credential["region"],
        aws_access_key_id=credential["access_key"],
        aws_secret_access_key=credential["secret_key"],
        config=config,
    )


def bucket_of(credential: Object) -> str:
    """The bucket of the credentials, or the one that Portworx makes for them."""
    chosen = credential.get("bucket")
    return str(chosen) if chosen else f"px-{hashlib.sha256(credential['name'].encode()).hexdigest()[:32]}"


def s3_of(credential: Object) -> Object:
    """The S3 credentials with which the bytes are kept. Raises StorageError where Azure or Google refuse."""
    try:
        return foreign.behind(credential)
    except foreign.RefusedError as refusal:
        raise StorageError(str(refusal)) from None


def validate(credential: Object) -> None:
    """Whether the object store accepts the credentials, with a bucket to write to. Raises StorageError."""
    credential = s3_of(credential)
    store = client(credential)
    bucket = bucket_of(credential)
    try:
        try:
            store.head_bucket(Bucket=bucket)
        except ClientError as refusal:
            if refusal.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                # The answer to HEAD has no body; the one to GET says why.
                store.list_objects_v2(Bucket=bucket, MaxKeys=1)
                raise
            store.create_bucket(Bucket=bucket)
        store.put_object(Bucket=bucket, Key="px-validate", Body=b"")
    except ClientError as refusal:
        error = refusal.response["Error"]
        raise StorageError(f"{error.get('Code')}: {error.get('Message')}") from None
    except BotoCoreError as failure:
        raise StorageError(f"RequestError: send request failed caused by: {failure}") from None
