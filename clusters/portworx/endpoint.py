"""Where the source's Portworx reaches the destination's: the `ip` and `port` of a ClusterPair.

Portworx listens on 9001 (and 9010, its own object store). From outside it is reached by the load balancer of
`portworx-service`, by a node port of it, or by a Route or proxy that somebody made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx.errors import PortworxError
from clusters.portworx.pods import Portworx
from clusters.texts import NOTHING, Text, as_it_is, said, sentences

SERVICE = "portworx-service"
SERVICES = (SERVICE, "portworx-api")
PORT = 9001
# libcurl-errors(3): the host has no address, the connection was refused, or nothing answered in time.
NO_ADDRESS, NO_CONNECTION, TOO_LATE = 6, 7, 28
CONNECT_SECONDS = 5
HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")

Object = dict[str, Any]


class Kind(StrEnum):
    """How an endpoint came to be."""

    LOAD_BALANCER = "load-balancer"
    NODE_PORT = "node-port"
    ROUTE = "route"
    MANUAL = "manual"


@dataclass(frozen=True)
class Endpoint:
    """`host` may begin with http:// or https://, as Portworx takes it."""

    kind: Kind
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def plain_host(self) -> str:
        return (urlsplit(self.host).hostname or "") if "://" in self.host else self.host


def parse_host(text: str) -> str:
    """The host, tidied. Raises ValueError for what Portworx would not take: a path, a port, spaces."""
    host = text.strip().rstrip("/")
    plain = re.sub(r"^https?://", "", host)
    if not HOST.fullmatch(plain):
        raise ValueError("Give a host name or address alone, such as px.example.com or 203.0.113.7.")
    return host


def candidates(connection: Connection, namespace: str) -> list[Endpoint]:
    """Every way to the cluster's Portworx that its objects show, the best first. Raises KubeError."""
    found: list[Endpoint] = []
    for name in SERVICES:
        try:
            service = connection.get("services", name, namespace)
        except errors.NotFound:
            continue
        found += _balancers(service)
        found += _node_ports(connection, service)
    found += _routes(connection, namespace)
    order = list(Kind)
    return sorted(dict.fromkeys(found), key=lambda each: order.index(each.kind))


def _balancers(service: Object) -> Iterator[Endpoint]:
    port = _port(service)
    if port is None:
        return
    for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
        host = ingress.get("hostname") or ingress.get("ip")
        if host:
            yield Endpoint(Kind.LOAD_BALANCER, host, port["port"])


def _node_ports(connection: Connection, service: Object) -> Iterator[Endpoint]:
    port = _port(service)
    if port is None or not port.get("nodePort"):
        return
    try:
        nodes = list(connection.list("nodes"))
    except errors.Forbidden:
        return
    for node in nodes:
        addresses = {each["type"]: each["address"] for each in (node.get("status") or {}).get("addresses") or ()}
        host = addresses.get("ExternalIP") or addresses.get("InternalIP")
        if host:
            yield Endpoint(Kind.NODE_PORT, host, port["nodePort"])


def _port(service: Object) -> Object | None:
    """The port of the service that leads to Portworx' management port."""
    for port in service["spec"].get("ports") or ():
        if PORT in (port["port"], port.get("targetPort")):
            return dict(port)
    return None


def _routes(connection: Connection, namespace: str) -> Iterator[Endpoint]:
    served = connection.discovery().find("routes.route.openshift.io")
    if served is None:
        return
    try:
        routes = list(connection.list(served, namespace))
    except errors.Forbidden:
        return
    for route in routes:
        spec = route["spec"]
        if (spec.get("to") or {}).get("name") in SERVICES and spec.get("host"):
            tls = bool(spec.get("tls"))
            yield Endpoint(Kind.ROUTE, f"{'https' if tls else 'http'}://{spec['host']}", 443 if tls else 80)


NAMES = {
    Kind.LOAD_BALANCER: said("load balancer"),
    Kind.NODE_PORT: said("node port"),
    Kind.ROUTE: said("Route"),
    Kind.MANUAL: said("typed by hand"),
}


def choices(
    found: list[Endpoint], *, kind: Kind | None = None, host: str = "", port: int | None = None
) -> list[Endpoint]:
    """The endpoints that come into question, the best first: the one typed by hand, or the first of each kind wanted.

    Raises PortworxError where there is none.
    """
    if host:
        return [Endpoint(Kind.MANUAL, host, port or PORT)]
    first: dict[Kind, Endpoint] = {}
    for each in found:
        if kind is None or each.kind == kind:
            first.setdefault(each.kind, Endpoint(each.kind, each.host, port or each.port))
    if not first:
        what = NAMES[kind] if kind is not None else said("address")
        raise PortworxError(
            said(
                "Service {service} of the destination shows no {what} at which the source could reach Portworx.",
                service=SERVICE,
                what=what,
            ),
            said(
                "Give the Service type LoadBalancer and wait until it has an address, or type the endpoint in by hand."
            ),
        )
    return list(first.values())


@dataclass(frozen=True)
class Reach:
    """Whether the endpoint was reached: True, False, or None where it cannot be found out from that pod."""

    reached: bool | None
    message: str


def reach(portworx: Portworx, endpoint: Endpoint) -> Reach:
    """Try a connection to the endpoint from a Portworx pod of the source. Raises KubeError."""
    scheme = "https" if endpoint.host.startswith("https://") else "http"
    url = f"{scheme}://{endpoint.plain_host}:{endpoint.port}/"
    words = ["curl", "--silent", "--show-error", "--insecure", "--output", "/dev/null"]
    words += ["--connect-timeout", str(CONNECT_SECONDS), "--max-time", str(CONNECT_SECONDS + 3), url]
    try:
        result = portworx.run(words, seconds=30)
    except errors.Unavailable:
        # Its image has no curl. Bash opens connections by itself.
        return _reach_by_shell(portworx, endpoint)
    printed = result.stderr.decode(errors="replace").strip()
    if result.exit_code in (NO_ADDRESS, NO_CONNECTION):
        failed = said("The connection to {endpoint} failed.", endpoint=endpoint)
        return Reach(False, as_it_is(printed) if printed else failed)
    if result.exit_code == TOO_LATE and "onnect" in printed:
        return Reach(False, as_it_is(printed))
    if result.exit_code in (126, 127):
        return _reach_by_shell(portworx, endpoint)
    # Any other end means that a connection was made: what listens there need not speak HTTP.
    return Reach(
        True,
        said(
            "{endpoint} answers from pod {namespace}/{pod}.",
            endpoint=endpoint,
            namespace=portworx.namespace,
            pod=portworx.pod,
        ),
    )


def _reach_by_shell(portworx: Portworx, endpoint: Endpoint) -> Reach:
    script = f'timeout {CONNECT_SECONDS} bash -c \'exec 3<>/dev/tcp/$0/$1\' "$0" "$1"'
    try:
        result = portworx.run(["bash", "-c", script, endpoint.plain_host, str(endpoint.port)], seconds=30)
    except errors.Unavailable:
        return Reach(None, said("The Portworx pod has neither curl nor bash to try the port with."))
    if result.exit_code in (126, 127):
        return Reach(None, said("The Portworx pod has nothing to try the port with."))
    words = result.stderr.decode(errors="replace").strip().splitlines()
    if result.exit_code:
        return Reach(
            False,
            as_it_is(words[-1])
            if words
            else said("No connection to {endpoint} within {seconds} s.", endpoint=endpoint, seconds=CONNECT_SECONDS),
        )
    return Reach(
        True,
        said(
            "{endpoint} answers from pod {namespace}/{pod}.",
            endpoint=endpoint,
            namespace=portworx.namespace,
            pod=portworx.pod,
        ),
    )


@dataclass(frozen=True)
class Taken:
    """The endpoint that is used, whether it was reached, and why it and not another."""

    endpoint: Endpoint
    reach: Reach
    reason: Text


def take(portworx: Portworx, wanted: list[Endpoint]) -> Taken:
    """The first that the source's Portworx reaches; where it reaches none, the first of all. Raises KubeError."""
    tried: list[Taken] = []
    for each in wanted:
        found = Taken(each, reach(portworx, each), NOTHING)
        tried.append(found)
        if found.reach.reached:
            break
    best = next((each for each in tried if each.reach.reached), None)
    # What cannot be found out is better than what was refused.
    best = best or next((each for each in tried if each.reach.reached is None), tried[0])
    return Taken(best.endpoint, best.reach, _reason(best.endpoint, wanted, tried))


def _reason(taken: Endpoint, wanted: list[Endpoint], tried: list[Taken]) -> Text:
    if taken.kind == Kind.MANUAL:
        return said("It was typed in by hand.")
    name = NAMES[taken.kind]
    if len(wanted) == 1:
        return said("It is the only {way}, and no other way was asked for or found.", way=name)
    others = [
        said("{way} {endpoint}: {why}", way=NAMES[each.endpoint.kind], endpoint=each.endpoint, why=each.reach.message)
        for each in tried
        if each.endpoint != taken
    ]
    left = [said("{way} {endpoint}", way=NAMES[each.kind], endpoint=each) for each in wanted[len(tried) :]]
    return sentences(
        said("The {way} is the first that answers.", way=name) if others else said("A {way} comes first.", way=name),
        said("Not reached: {ways}.", ways=others) if others else NOTHING,
        said("Not tried: {ways}.", ways=left) if left else NOTHING,
    )
