"""What a mover's Job depends on in the clusters: with which power it runs, and where."""

from __future__ import annotations

from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.native import placement, privileges
from migrations_app.engines.native.claims import CLAIMS, claim_of, users_of_claims
from migrations_app.engines.native.placement import Placement
from migrations_app.engines.native.privileges import Direction, Power
from migrations_app.engines.native.sides import source_of
from migrations_app.models import Migration, MigrationVolume

Object = dict[str, Any]
SCCS = "securitycontextconstraints.security.openshift.io"
SHARED = {"ReadWriteMany", "ReadOnlyMany"}


def settle(
    connection: Connection, direction: Direction, migration: Migration, volume: MigrationVolume
) -> tuple[Power, Placement]:
    """Power and place of the volume's mover; `connection` is to its own side. Raises KubeError, RetriableError."""
    # The application is on the source, whichever side asks.
    if direction == "push":
        pods, spec = _application(connection, volume)
    else:
        with source_of(migration.pair).asked() as source:
            pods, spec = _application(source, volume)
    name = volume.namespace_of(direction)
    namespace = connection.get("namespaces", name)
    users = pods or ([] if spec is None else [{"spec": spec}])
    power = privileges.decide(direction, namespace, users, refuses_root=refuses_root(connection, name))
    if direction == "push":
        user = holder(volume, pods)
        return power, placement.beside(user) if user else placement.where_it_can_run(spec, decides=False)
    unbound = not claim_of(connection.get(CLAIMS, volume.claim, name)).is_bound
    return power, placement.where_it_can_run(spec, decides=unbound)


def holder(volume: MigrationVolume, pods: list[Object]) -> Object | None:
    """The pod that holds the volume to its node, if any: a volume of one node can be mounted only there."""
    if SHARED & set(volume.access_modes):
        return None
    return next((pod for pod in pods if pod["spec"].get("nodeName")), None)


def _application(source: Connection, volume: MigrationVolume) -> tuple[list[Object], Object | None]:
    """The pods that use the claim, and the spec that decides where such pods run."""
    pods = users_of_claims(source, volume.namespace).get(volume.claim, [])
    # A DaemonSet's controller has tied each of its pods to a node; their template is not.
    free = [pod for pod in pods if not _is_of_daemon_set(pod)]
    if free:
        return pods, free[0]["spec"]
    return pods, placement.spec_using(volume.claim, placement.workloads_in(source, volume.namespace))


def _is_of_daemon_set(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or ())


def refuses_root(connection: Connection, namespace: str) -> bool:
    """Whether OpenShift keeps the namespace's pods from being root with the capabilities of a mover."""
    if connection.discovery().find(SCCS) is None:
        return False
    try:
        constraints = list(connection.list(SCCS))
    except errors.Forbidden:
        permissive = ["privileged"]
    else:
        if not constraints:
            return False
        permissive = [each["metadata"]["name"] for each in constraints if privileges.is_permissive(each)]
    return not any(_may_use(connection, namespace, name) for name in permissive)


def _may_use(connection: Connection, namespace: str, name: str) -> bool:
    """Whether movers' pods, which have the default service account, may use the constraints."""
    attributes = {
        "namespace": namespace,
        "verb": "use",
        "group": "security.openshift.io",
        "resource": "securitycontextconstraints",
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace},
        "spec": {
            "user": f"system:serviceaccount:{namespace}:default",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    path = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
    try:
        answer = connection.json("POST", path, body=review, repeatable=True, what="review the movers' permissions")
    except errors.Forbidden:
        # Without an answer, as OpenShift comes: not.
        return False
    return bool((answer.get("status") or {}).get("allowed"))
