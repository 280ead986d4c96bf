"""Addresses of nodes and pods."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import Object

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

POD_NETWORK = ipaddress.ip_network("10.128.0.0/14")


def host_address(node: Object | None) -> str:
    """The node's internal address."""
    addresses = node["status"].get("addresses", ()) if node else ()
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "127.0.0.1")


def pod_address(api: ClusterAPI, pod: Object) -> str:
    """A free address for the pod; its node's for one on the host network."""
    if pod["spec"].get("hostNetwork"):
        return pod["status"].get("hostIP", "127.0.0.1")
    taken = {other["status"].get("podIP") for other in api.list("pods")}
    number = int.from_bytes(hashlib.sha256(pod["metadata"]["uid"].encode()).digest()[:4])
    while True:
        address = str(POD_NETWORK[2 + number % (POD_NETWORK.num_addresses - 4)])
        if address not in taken:
            return address
        number += 1
