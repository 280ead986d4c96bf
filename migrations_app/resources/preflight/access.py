"""What an account may do: the rules that the cluster says hold for it, and single questions where those do not do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from migrations_app.resources.preflight.facts import Facts

Object = dict[str, Any]


@dataclass(frozen=True, order=True)
class Need:
    """One verb on one resource, as RBAC names it; the namespace is empty for what lies outside of namespaces.

    With a `name` it is that one object alone.
    """

    namespace: str
    resource: str
    verb: str
    subresource: str = ""
    name: str = ""

    @property
    def group(self) -> str:
        return self.resource.partition(".")[2]

    @property
    def plural(self) -> str:
        """With the subresource, as roles write it: `pods/log`."""
        plural = self.resource.partition(".")[0]
        return f"{plural}/{self.subresource}" if self.subresource else plural

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'/{self.subresource}' if self.subresource else ''}"


class Access:
    """The account's permissions on one side; every namespace is asked about once (SelfSubjectRulesReview)."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._rules: dict[str, tuple[list[Object], bool]] = {}

    def missing(self, needs: Iterable[Need]) -> list[Need]:
        """The needs that are not met, in their order."""
        return [each for each in dict.fromkeys(needs) if not self.may(each)]

    def may(self, need: Need) -> bool:
        if not need.namespace:
            # The rules of a namespace do not tell which of them hold for the whole cluster.
            return self._asked(need)
        rules, incomplete = self.rules(need.namespace)
        if covered(rules, need.verb, need.group, need.plural, need.name):
            return True
        # Other authorizers than RBAC cannot list what they allow.
        return incomplete and self._asked(need)

    def _asked(self, need: Need) -> bool:
        return self._facts.may(need.verb, need.resource, need.namespace, subresource=need.subresource, name=need.name)

    def rules(self, namespace: str) -> tuple[list[Object], bool]:
        """The rules that hold in the namespace, and whether there may be more."""
        if namespace not in self._rules:
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": namespace},
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
            status = self._facts.review(path, review, "review our permissions")
            if status is None:
                self._rules[namespace] = [], True
            else:
                self._rules[namespace] = list(status.get("resourceRules") or ()), bool(status.get("incomplete"))
        return self._rules[namespace]

    def user(self) -> str:
        """The account's name, or an empty text where the cluster does not tell."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        status = self._facts.review(path, review, "ask who we are") or {}
        return str((status.get("userInfo") or {}).get("username", ""))


def covered(rules: Iterable[Object], verb: str, group: str, resource: str, name: str = "") -> bool:
    """Whether a rule allows the verb on all objects of the resource, or on the one that is named.

    As k8s.io/component-helpers/auth/rbac/validation has it.
    """
    subresource = resource.partition("/")[2]
    for rule in rules:
        resources, names = rule.get("resources") or (), rule.get("resourceNames") or ()
        if (
            {verb, "*"} & set(rule.get("verbs") or ())
            and {group, "*"} & set(rule.get("apiGroups") or ())
            and ({resource, "*"} & set(resources) or (subresource and f"*/{subresource}" in resources))
            and (not names or (name and name in names))
        ):
            return True
    return False
