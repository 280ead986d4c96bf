"""The reference story without a person: through the public API, and checked with other eyes than the product's.

The product is asked over HTTP only. The outcome is read from the clusters with the official client and from the
folders behind the claims with a comparison of our own, which shares no code with the mover.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import yaml
from kubernetes.stream import portforward

from demo.trees import differences

NAMESPACE = "cms"
PAIRS = {"native": "dev-to-prod", "portworx": "dev-to-prod-portworx"}
CLAIMS = ("px-mysql-pvc", "px-wp-pvc")
FINISHED = {"Successful", "PartialSuccess", "Failed", "Cancelled"}
MOST_SECONDS = 900.0

# What the destination must hold, by API path: everything of the story's application, and the nine objects of its list.
OBJECTS = (
    ("apps/v1", "deployments", ("mysql", "wordpress")),
    ("v1", "services", ("mysql", "wordpress")),
    ("v1", "persistentvolumeclaims", CLAIMS),
    ("route.openshift.io/v1", "routes", ("wp",)),
)


class Api:
    """The product's REST API, with a bearer token."""

    def __init__(self, address: str, token: str) -> None:
        self.base = f"{address}/api/v1"
        self.token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises RuntimeError with the problem's own words."""
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None
        return json.loads(content) if content else None

    def every(self, path: str) -> Iterator[dict[str, Any]]:
        """All rows of a paged list."""
        page = 1
        while True:
            answer = self.call("GET", f"{path}{'&' if '?' in path else '?'}page={page}&page_size=500")
            yield from answer["results"]
            if not answer.get("next"):
                return
            page += 1


def story(
    address: str, token: str, clusters: dict[str, dict[str, Any]], state: Path, *, engine: str = "native"
) -> dict[str, Any]:
    """Migrate the namespace from dev to prod over the engine's seeded pair, and compare.

    `differences` says what is wrong.
    """
    api = Api(address, token)
    pair = next(row for row in api.every("/pairs/") if row["name"] == PAIRS[engine])
    plan = api.call("POST", "/migrations/plan/", {"pair": pair["id"], "namespaces": [NAMESPACE]})
    began = time.monotonic()
    migration = api.call(
        "POST",
        "/migrations/",
        {"pair": pair["id"], "name": "cmsmigration", "namespaces": [NAMESPACE], "start_applications": True},
    )
    path = f"/migrations/{migration['id']}/"
    while migration["status"] not in FINISHED and time.monotonic() - began < MOST_SECONDS:
        time.sleep(0.5)
        migration = api.call("GET", path)
    seconds = time.monotonic() - began
    wrong = outcome(api, migration["id"], clusters, state)
    if sorted(claim["name"] for claim in plan["claims"]) != sorted(CLAIMS):
        wrong.append(f"the plan named other claims: {plan['claims']}")
    volumes = list(api.every(f"{path}volumes/"))
    return {
        "engine": pair["engine"],
        "status": migration["status"],
        "seconds": round(seconds, 1),
        "bytes": sum(row["bytes_total"] or 0 for row in volumes),
        "volumes": len(volumes),
        "resources": len(list(api.every(f"{path}resources/"))),
        "events": len(list(api.every(f"{path}events/"))),
        "verified": not wrong,
        "differences": wrong,
    }


def outcome(api: Api, migration_id: str, clusters: dict[str, dict[str, Any]], state: Path) -> list[str]:
    """What is wrong with a finished migration: its own record, both clusters, both folders, the site, leftovers."""
    path = f"/migrations/{migration_id}/"
    migration = api.call("GET", path)
    wrong: list[str] = []
    if migration["status"] != "Successful":
        wrong.append(f"the migration ended {migration['status']} in stage {migration['stage']}: {migration['reason']}")
    for row in api.every(f"{path}volumes/"):
        if row["status"] != "Successful":
            wrong.append(f"volume {row['claim']}: {row['status']} {row['reason']}")
    for row in api.every(f"{path}resources/"):
        if row["status"] != "Successful":
            wrong.append(f"{row['kind']} {row['name']}: {row['status']} {row['reason']}")
    numbers = [event["seq"] for event in api.every(f"{path}events/")]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong.append(f"the events are not numbered without gaps: {numbers}")
    connections = {name: _client(cluster["kubeconfig"]) for name, cluster in clusters.items()}
    wrong += _compare_objects(connections["dev"], connections["prod"])
    wrong += _compare_volumes(connections, state)
    wrong += _compare_sites(connections["dev"], connections["prod"])
    wrong += _leftovers(connections)
    return wrong


def _client(kubeconfig: str) -> kubernetes.client.ApiClient:
    return kubernetes.config.new_client_from_config_dict(yaml.safe_load(Path(kubeconfig).read_text()))


def _get(client: kubernetes.client.ApiClient, api_version: str, path: str) -> Any:
    root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    answer = client.call_api(
        *client.param_serialize(
            "GET",
            f"{root}{path}",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
    )
    return json.loads(answer.read())


def _compare_objects(dev: kubernetes.client.ApiClient, prod: kubernetes.client.ApiClient) -> list[str]:
    """Every object of the story is there, and says the same as on the source where it can."""
    wrong = []
    for api_version, plural, names in OBJECTS:
        there = {
            item["metadata"]["name"]: item
            for item in _get(prod, api_version, f"/namespaces/{NAMESPACE}/{plural}")["items"]
        }
        here = {
            item["metadata"]["name"]: item
            for item in _get(dev, api_version, f"/namespaces/{NAMESPACE}/{plural}")["items"]
        }
        for name in names:
            if name not in there:
                wrong.append(f"{plural} {name} is missing on the destination")
            elif _essence(plural, here[name]) != _essence(plural, there[name]):
                wrong.append(f"{plural} {name} differs on the destination")
    for kind in ("secrets", "configmaps"):
        here = {
            item["metadata"]["name"]: item.get("data")
            for item in _get(dev, "v1", f"/namespaces/{NAMESPACE}/{kind}")["items"]
        }
        there = {
            item["metadata"]["name"]: item.get("data")
            for item in _get(prod, "v1", f"/namespaces/{NAMESPACE}/{kind}")["items"]
        }
        for name in ("mysql", "wordpress"):
            for found in (each for each in here if each.startswith(name)):
                if here[found] != there.get(found):
                    wrong.append(f"{kind} {found} differs on the destination")
    for item in _get(prod, "apps/v1", f"/namespaces/{NAMESPACE}/deployments")["items"]:
        status = item.get("status", {})
        if status.get("availableReplicas", 0) != item["spec"]["replicas"]:
            wrong.append(f"deployment {item['metadata']['name']} is not available: {status}")
    return wrong


def _essence(plural: str, item: dict[str, Any]) -> Any:
    """What of an object has to be the same on both sides."""
    spec = dict(item["spec"])
    match plural:
        case "services":
            for assigned in ("clusterIP", "clusterIPs"):
                if spec.get(assigned) not in (None, "None", ["None"]):
                    spec.pop(assigned)
            spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports", [])]
        case "persistentvolumeclaims":
            return [spec["accessModes"], spec["resources"]["requests"], item["status"]["phase"]]
    return spec


def _compare_volumes(connections: dict[str, kubernetes.client.ApiClient], state: Path) -> list[str]:
    """The folders behind the claims, entry by entry."""
    wrong = []
    for claim in CLAIMS:
        folders = []
        for name, client in connections.items():
            try:
                found = _get(client, "v1", f"/namespaces/{NAMESPACE}/persistentvolumeclaims/{claim}")
            except kubernetes.client.ApiException as error:
                wrong.append(f"claim {claim} on {name}: {error.status} {error.reason}")
                continue
            folders.append(state / name / "volumes" / found["spec"]["volumeName"])
        if len(folders) == 2:
            wrong += [f"volume {claim}: {difference}" for difference in differences(*folders)]
    return wrong


def _compare_sites(dev: kubernetes.client.ApiClient, prod: kubernetes.client.ApiClient) -> list[str]:
    """The last step of the story: the site answers through a port-forward, with the content that it had before."""
    before, after = page_of(dev), page_of(prod)
    if not after.startswith(b"HTTP/1.1 200"):
        return [f"the site on the destination answered {after[:200]!r}"]
    if before.partition(b"\r\n\r\n")[2] != after.partition(b"\r\n\r\n")[2]:
        return ["the site on the destination has another content than on the source"]
    return []


def page_of(client: kubernetes.client.ApiClient) -> bytes:
    """What the WordPress pod answers to a browser, or nothing where none runs."""
    core = kubernetes.client.CoreV1Api(client)
    pods = [
        str(pod.metadata.name)
        for pod in core.list_namespaced_pod(NAMESPACE, label_selector="app=wordpress").items
        if pod.status and pod.status.phase == "Running" and pod.metadata
    ]
    return page_at(client, pods[0], 80) if pods else b""


def page_at(client: kubernetes.client.ApiClient, pod: str, port: int) -> bytes:
    """What a pod of the namespace answers to a browser on that port, by port-forward."""
    core = kubernetes.client.CoreV1Api(client)
    forward = portforward(core.connect_get_namespaced_pod_portforward, pod, NAMESPACE, ports=str(port))
    connection = forward.socket(port)
    connection.settimeout(30)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: wordpress\r\nConnection: close\r\n\r\n")
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    connection.close()
    return answer


def _leftovers(connections: dict[str, kubernetes.client.ApiClient]) -> list[str]:
    """Movers and their credentials must be gone from both clusters soon after the end."""
    deadline = time.monotonic() + 60
    while True:
        left = [
            f"{plural} {item['metadata']['name']} is left over on {name}"
            for name, client in connections.items()
            for api_version, plural in (("batch/v1", "jobs"), ("v1", "pods"), ("v1", "secrets"))
            for item in _get(client, api_version, f"/namespaces/{NAMESPACE}/{plural}")["items"]
            if item["metadata"]["name"].startswith("kubemotion-")
        ]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)
