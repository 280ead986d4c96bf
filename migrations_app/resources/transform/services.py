"""Services: addresses belong to a cluster, ports that somebody chose to the application."""

from __future__ import annotations

import json
from collections.abc import Iterator

from migrations_app.resources.shapes import items, section
from migrations_app.resources.transform.metadata import LAST_APPLIED
from migrations_app.resources.transform.options import Object, Options, was_transformed


def addresses(obj: Object, options: Options, source: Object) -> None:
    """Addresses are given anew; a headless Service stays headless (Stork, Velero).

    Stork's annotation to send a Service as it is makes the destination refuse it, or take an address of the source's
    (its defects 8 and 9), and is not followed.
    """
    spec = section(obj, "spec")
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    for name in ("ipFamilies", "loadBalancerIP"):
        spec.pop(name, None)
    # The only policy that any cluster can follow, and that nobody gets without asking.
    if spec.get("ipFamilyPolicy") != "PreferDualStack":
        spec.pop("ipFamilyPolicy", None)


def node_ports(obj: Object, options: Options, source: Object) -> None:
    """Node ports are kept where somebody asked for them, and allocated anew otherwise (velero service_action.go).

    kubectl's note tells it, or the record of field owners: what the server allocated has no owner.
    """
    if was_transformed(source, options):
        return
    applied = section(_last_applied(source), "spec")
    owned = [section(entry, "fieldsV1", "f:spec") for entry in items(section(source, "metadata"), "managedFields")]
    asked = [_port(port) for port in items(applied, "ports") if port.get("nodePort")]
    asked += [port for fields in owned for port in _owned_ports(section(fields, "f:ports"))]
    for port in items(section(obj, "spec"), "ports"):
        if _port(port) not in asked:
            port.pop("nodePort", None)
    if not applied.get("healthCheckNodePort") and not any("f:healthCheckNodePort" in fields for fields in owned):
        section(obj, "spec").pop("healthCheckNodePort", None)


def _port(port: Object) -> tuple[object, object]:
    return port.get("port"), port.get("protocol", "TCP")


def _owned_ports(fields: Object) -> Iterator[tuple[object, object]]:
    """Keys of the record are such as `k:{"port":80,"protocol":"TCP"}`."""
    for key, value in fields.items():
        if isinstance(value, dict) and "f:nodePort" in value and key.startswith("k:"):
            try:
                found = json.loads(key[2:])
            except ValueError:
                continue
            if isinstance(found, dict):
                yield _port(found)


def _last_applied(obj: Object) -> Object:
    text = section(obj, "metadata", "annotations").get(LAST_APPLIED)
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}
