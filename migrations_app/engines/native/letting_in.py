"""What a cluster lets in: whether movers' pods may be root in a namespace, asked of the cluster itself."""

from __future__ import annotations

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.native import privileges

SCCS = "securitycontextconstraints.security.openshift.io"


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
