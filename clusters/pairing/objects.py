"""The objects of a pair: what is there, what differs from what is wanted, and what has to be there first."""

from __future__ import annotations

import time
from typing import Any

from clusters.kube import errors
from clusters.pairing.work import Side, Way
from clusters.portworx import clusterpair, endpoint, following
from clusters.portworx.errors import PortworxError
from clusters.texts import said

GONE_SECONDS = 30


def is_as_wanted(present: dict[str, object], wanted: dict[str, object]) -> bool:
    """Whether the ClusterPair that is there needs no writing, and stays."""
    if present["metadata"].get("deletionTimestamp"):  # type: ignore[attr-defined]
        return False
    spec, asked = present.get("spec") or {}, wanted["spec"]
    assert isinstance(spec, dict)
    assert isinstance(asked, dict)
    return bool(spec.get("config") == asked["config"] and spec.get("options") == asked["options"])


def differences(present: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What of the storage options is there otherwise than wanted; the token is looked at in a step of its own."""
    there, asked = (each["spec"].get("options") or {} for each in (present, wanted))
    names = sorted({*there, *asked} - {"token", clusterpair.PLACEHOLDER})
    return [
        f"{name} {there.get(name) or 'missing'} instead of {asked.get(name) or 'none'}"
        for name in names
        if str(there.get(name) or "") != str(asked.get(name) or "")
    ]


def wait_until_gone(way: Way, namespace: str) -> None:
    """Raises PortworxError where Stork does not let the object go."""
    deadline = time.monotonic() + GONE_SECONDS
    while following.read(way.origin.connection, way.name, namespace).exists:
        if time.monotonic() > deadline:
            raise PortworxError(
                said(
                    "ClusterPair {namespace}/{name} is not gone {seconds} s after it was deleted.",
                    namespace=namespace,
                    name=way.name,
                    seconds=GONE_SECONDS,
                ),
                said("Stork takes its finalizer off: look at Stork's log on that cluster, then try again."),
            )
        time.sleep(0.5)


def ways_to(way: Way, *, is_needed: bool) -> list[endpoint.Endpoint]:
    """What the target's objects show; beside an endpoint typed by hand it is only for people to know."""
    try:
        return endpoint.candidates(way.target.connection, way.target.portworx.namespace)
    except errors.KubeError:
        if is_needed:
            raise
        return []


def token_of(way: Way, namespace: str) -> str:
    """The token in the ClusterPair as it is there; empty where there is none."""
    try:
        present = way.origin.connection.get(clusterpair.RESOURCE, way.name, namespace)
    except errors.NotFound:
        return ""
    return str(((present.get("spec") or {}).get("options") or {}).get("token") or "")


def ensure_namespace(side: Side, namespace: str, *, may_make: bool) -> None:
    """The namespace of the ClusterPair is there; on the destination it is made, as storkctl does."""
    try:
        side.connection.get("namespaces", namespace)
    except errors.NotFound:
        if not may_make:
            raise PortworxError(
                said("{side} has no namespace {namespace}.", side=side.cluster.name, namespace=namespace),
                said(
                    "Make it, or choose the namespace of the application or the admin namespace in the pair's settings."
                ),
            ) from None
        side.connection.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
