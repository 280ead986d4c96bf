"""What an administrator does by hand: commands in Portworx pods, ClusterPairs, Migrations, and looking at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes import client, config
from kubernetes.stream import stream

from demo.cluster.api import APIError
from demo.cluster.server import ClusterHandle
from demo.portworx.remote import embedded
from demo.s3 import RunningS3

Object = dict[str, Any]
STORK = "stork.libopenstorage.org"
SECONDS = 60


def until[T](look: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What `look` returns, once that is true; a missing object is not there yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except APIError as refusal:
            if refusal.code != 404:
                raise
            found = None  # type: ignore[assignment]
        if found:
            return found
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.05)


def pxctl(cluster: ClusterHandle, *words: str) -> tuple[str, str]:
    """Run `pxctl` in the first Portworx pod through the API server: its output, and what went wrong."""

    def ready() -> str:
        for pod in cluster.call(lambda api: api.list("pods", "kube-system", {"name": "portworx"})):
            if any(each.get("ready") for each in pod["status"].get("containerStatuses", ())):
                return str(pod["metadata"]["name"])
        return ""

    pod = until(ready)
    with config.new_client_from_config(str(cluster.kubeconfig_path)) as connection:
        session = stream(
            client.CoreV1Api(connection).connect_get_namespaced_pod_exec,
            pod,
            "kube-system",
            command=["/opt/pwx/bin/pxctl", *words],
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        session.run_forever(timeout=SECONDS)
        return session.read_stdout(), session.read_stderr()


def uuid_of(cluster: ClusterHandle) -> str:
    """The UUID that `pxctl status` shows."""
    output, _ = pxctl(cluster, "status")
    return next(line.split()[-1] for line in output.splitlines() if "Cluster UUID:" in line)


def add_credentials(cluster: ClusterHandle, store: RunningS3, name: str, *, secret: str = "") -> None:
    """`pxctl credentials create` with the store's keys."""
    output, error = pxctl(
        cluster,
        *("credentials", "create", "--provider", "s3", "--s3-access-key", store.keys.access_key_id),
        *("--s3-secret-key", secret or store.keys.secret_access_key, "--s3-region", store.region),
        *("--s3-endpoint", store.endpoint, "--bucket", store.bucket, name),
    )
    assert "Credentials created successfully" in output, error


def load_balancer(cluster: ClusterHandle) -> str:
    """The host name of `portworx-service`."""

    def look() -> str:
        service = cluster.call(lambda api: api.get("services", "kube-system", "portworx-service"))
        ingress = service["status"].get("loadBalancer", {}).get("ingress") or [{}]
        return str(ingress[0].get("hostname", ""))

    return until(look)


def pair_document(name: str, namespace: str, destination: ClusterHandle, **options: str) -> Object:
    """A ClusterPair as `storkctl generate clusterpair` prints it, with options filled in."""
    return {
        "apiVersion": f"{STORK}/v1alpha1",
        "kind": "ClusterPair",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"config": embedded(destination.kubeconfig), "options": options, "platformOptions": {}},
        "status": {"remoteStorageId": "", "schedulerStatus": "", "storageStatus": ""},
    }


def create(cluster: ClusterHandle, plural: str, obj: Object) -> None:
    """Make one of Stork's objects."""
    cluster.call(lambda api: api.create(f"{plural}.{STORK}", obj))


def get(cluster: ClusterHandle, plural: str, namespace: str, name: str) -> Object:
    """One of Stork's objects."""
    return cluster.call(lambda api: api.get(f"{plural}.{STORK}", namespace, name))


def statuses(cluster: ClusterHandle, namespace: str, pair: str) -> tuple[str, str]:
    """Storage and scheduler status of a pair."""
    status = get(cluster, "clusterpairs", namespace, pair).get("status") or {}
    return status.get("storageStatus", ""), status.get("schedulerStatus", "")


def pair(
    clusters: Mapping[str, ClusterHandle], store: RunningS3, *, name: str = "prodcluster", namespace: str = "cms"
) -> None:
    """Pair dev with prod as the story does it."""
    dev, prod = clusters["dev"], clusters["prod"]
    credential = f"clusterPair_{uuid_of(prod)}"
    for cluster in (prod, dev):
        if credential not in pxctl(cluster, "credentials", "list")[0]:
            add_credentials(cluster, store, credential)
    token = pxctl(prod, "cluster", "token", "show")[0].split()[-1]
    document = pair_document(name, namespace, prod, ip=load_balancer(prod), port="9001", token=token)
    create(dev, "clusterpairs", document)
    until(lambda: statuses(dev, namespace, name) == ("Ready", "Ready"))


def migration_document(name: str, namespace: str = "cms", **spec: Any) -> Object:
    """A Migration."""
    return {
        "apiVersion": f"{STORK}/v1alpha1",
        "kind": "Migration",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def migrate(cluster: ClusterHandle, name: str, namespace: str = "cms", **spec: Any) -> Object:
    """Make a Migration and wait for its end."""
    create(cluster, "migrations", migration_document(name, namespace, **spec))
    return finished(cluster, name, namespace)


def finished(cluster: ClusterHandle, name: str, namespace: str = "cms") -> Object:
    """The Migration, once it is over."""

    def look() -> Object | None:
        found = get(cluster, "migrations", namespace, name)
        return found if (found.get("status") or {}).get("stage") == "Final" else None

    over = until(look)
    assert over is not None
    return over


def events(cluster: ClusterHandle, name: str, namespace: str = "cms") -> list[tuple[str, str, int, str]]:
    """Type, reason, count and message of the events about one of Stork's objects."""
    return [
        (each["type"], each["reason"], each["count"], each["message"])
        for each in cluster.call(lambda api: api.list("events", namespace))
        if each["involvedObject"]["name"] == name and each["source"]["component"] == "stork"
    ]
