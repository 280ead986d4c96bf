"""Hosts under which an application is reached: kept, or moved from one domain to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrations_app.resources.marks import type_of
from migrations_app.resources.shapes import items, section
from migrations_app.resources.transform.options import Object, Options

EXTERNAL_DNS = "external-dns.alpha.kubernetes.io/hostname"
GATEWAY = "gateway.networking.k8s.io"


def mapped(host: str, mapping: Mapping[str, str]) -> str:
    """The host with its longest mapped suffix replaced, by whole labels: `example.com` is none of `badexample.com`."""
    fitting = [suffix for suffix in mapping if f".{host}".endswith(f".{suffix.lstrip('.')}")]
    if not fitting:
        return host
    suffix = max(fitting, key=len)
    return host[: len(host) - len(suffix.lstrip("."))] + mapping[suffix].lstrip(".")


def map_hosts(obj: Object, options: Options) -> None:
    mapping = options.spec.host_mapping
    for place, key in _places(obj):
        value = place[key]
        if isinstance(value, str):
            place[key] = mapped(value, mapping)
        elif isinstance(value, list):
            place[key] = [mapped(each, mapping) if isinstance(each, str) else each for each in value]
    annotations = section(obj, "metadata", "annotations")
    if isinstance(hosts := annotations.get(EXTERNAL_DNS), str):
        annotations[EXTERNAL_DNS] = ",".join(mapped(each.strip(), mapping) for each in hosts.split(","))


def _places(obj: Object) -> Iterator[tuple[Object, str]]:
    """The mappings and keys at which the object names hosts, or lists of them."""
    spec = section(obj, "spec")
    wanted: list[tuple[Any, str]] = []
    match type_of(obj):
        case ("route.openshift.io", "Route"):
            wanted = [(spec, "host")]
        case ("networking.k8s.io" | "extensions", "Ingress"):
            wanted = [(each, "host") for each in items(spec, "rules")] + [
                (each, "hosts") for each in items(spec, "tls")
            ]
        case (group, "Gateway") if group == GATEWAY:
            wanted = [(each, "hostname") for each in items(spec, "listeners")]
        case (group, kind) if group == GATEWAY and kind.endswith("Route"):
            wanted = [(spec, "hostnames")]
        case ("cert-manager.io", "Certificate"):
            wanted = [(spec, "commonName"), (spec, "dnsNames")]
    return ((place, key) for place, key in wanted if key in place)
