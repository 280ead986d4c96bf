"""OpenShift's SecurityContextConstraints: whom they name, and how to ask whether an account may use them.

An account may use those that name it or one of its groups, and those that a role with the verb `use` grants it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Object = dict[str, Any]
GROUP, PLURAL = "security.openshift.io", "securitycontextconstraints"
SCCS = f"{PLURAL}.{GROUP}"


class Account(NamedTuple):
    """A service account, as a pod's creator is known."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> frozenset[str]:
        return frozenset({"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{self.namespace}"})


def is_named(constraints: Object, account: Account) -> bool:
    """Whether the constraints themselves name the account or one of its groups."""
    named = account.groups & set(constraints.get("groups") or ())
    return account.user in (constraints.get("users") or ()) or bool(named)


def use_review(name: str, account: Account) -> tuple[str, Object]:
    """Path and body of the question whether a role lets the account use the constraints of this name."""
    attributes = {
        "namespace": account.namespace,
        "verb": "use",
        "group": GROUP,
        "resource": PLURAL,
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": account.namespace},
        "spec": {"user": account.user, "groups": sorted(account.groups), "resourceAttributes": attributes},
    }
    return f"/apis/authorization.k8s.io/v1/namespaces/{account.namespace}/localsubjectaccessreviews", review
