"""What a migration has to be allowed to do, on the cluster it goes from and on the one it goes to."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.kube.connection import Connection
from clusters.texts import Text, said


@dataclass(frozen=True)
class Need:
    """Verbs on one resource (as RBAC spells it, `deployments.apps`), and what they are for."""

    verbs: tuple[str, ...]
    resource: str
    why: Text
    subresource: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{', '.join(self.verbs)} {name}"


READ = ("get", "list")
WRITE = ("get", "list", "create", "patch", "delete")

MOVER = (
    Need(("get", "list", "create", "patch", "delete"), "jobs.batch", said("run the mover beside the data")),
    Need(("get", "list"), "pods", said("follow the mover, and find which pod uses a volume")),
    Need(("get",), "pods", said("read the mover's progress"), subresource="log"),
    Need(("get", "create", "delete"), "secrets", said("hand the mover its credentials, and take them back")),
    Need(("list",), "events", said("show why a pod or claim waits")),
)
# What applications usually consist of.
APPLICATION = (
    "configmaps",
    "secrets",
    "services",
    "serviceaccounts",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "cronjobs.batch",
    "ingresses.networking.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
)
SOURCE = (
    *MOVER,
    Need(READ, "namespaces", said("choose namespaces")),
    Need(READ, "persistentvolumeclaims", said("find the volumes")),
    Need(READ, "persistentvolumes", said("find the volumes")),
    *(Need(READ, resource, said("read the application")) for resource in APPLICATION),
)
DESTINATION = (
    *MOVER,
    Need(("get", "list", "create", "patch", "delete"), "namespaces", said("make the namespaces")),
    Need(WRITE, "persistentvolumeclaims", said("make the volumes")),
    *(Need(WRITE, resource, said("make the application, and take it back")) for resource in APPLICATION),
)


class Permissions:
    """What one account may do in all namespaces; each question is asked once. Raises KubeError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answers: dict[tuple[str, str, str], bool] = {}
        # An administrator of the cluster is spared a hundred questions.
        self._everything = connection.can_i("*", "*.*")

    def missing(self, needs: tuple[Need, ...]) -> list[Need]:
        """The needs that are not met, each with only the verbs that are refused."""
        found = []
        for need in needs:
            verbs = tuple(verb for verb in need.verbs if not self._may(verb, need.resource, need.subresource))
            if verbs:
                found.append(Need(verbs, need.resource, need.why, need.subresource))
        return found

    def _may(self, verb: str, resource: str, subresource: str) -> bool:
        if self._everything:
            return True
        question = (verb, resource, subresource)
        if question not in self._answers:
            self._answers[question] = self._connection.can_i(verb, resource, subresource=subresource)
        return self._answers[question]
