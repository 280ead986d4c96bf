"""Waiting for pods of a running cluster."""

from __future__ import annotations

import time

from demo.cluster.server import ClusterHandle


def wait_for(cluster: ClusterHandle, namespace: str, name: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        found = cluster.call(lambda api: api.get("pods", namespace, name))
        conditions = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
        if conditions.get("Ready") == "True":
            return
        assert time.monotonic() < deadline, found["status"]
        time.sleep(0.02)


def pod_of(cluster: ClusterHandle, app: str) -> str:
    deadline = time.monotonic() + 20
    while not (found := cluster.call(lambda api: api.list("pods", "cms", {"app": app}))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    wait_for(cluster, "cms", found[0]["metadata"]["name"])
    return str(found[0]["metadata"]["name"])
