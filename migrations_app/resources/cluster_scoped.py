"""What lies outside of namespaces and the application needs: its definitions, classes, cluster RBAC and webhooks.

Definitions, classes and roles are asked for by name: a cluster can have hundreds of definitions of megabytes together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery
from clusters.kube.errors import Forbidden, NotFound
from clusters.texts import Text, said
from migrations_app.resources.dependencies import Missing
from migrations_app.resources.marks import key_of, labels_of, type_of
from migrations_app.resources.references import RBAC
from migrations_app.resources.selection import LabelSelector
from migrations_app.resources.shapes import pod_specs, section
from migrations_app.resources.spec import Spec
from migrations_app.resources.subjects import account_of, lies_within, namespace_of

Object = dict[str, Any]

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
PRIORITIES = "priorityclasses.scheduling.k8s.io"
ROLES = f"clusterroles.{RBAC}"
BINDINGS = f"clusterrolebindings.{RBAC}"
WEBHOOKS = tuple(
    f"{name}.admissionregistration.k8s.io"
    for name in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
)
API_SERVICES = "apiservices.apiregistration.k8s.io"
CONSTRAINTS = "securitycontextconstraints.security.openshift.io"
BUILT_IN_PRIORITIES = frozenset({"openshift-user-critical", "k8s-cluster-critical"})
# Served by every API server itself; those without a dot, such as `apps`, are as well.
BUILT_IN_GROUPS = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization", "certificates",
        "coordination", "discovery", "events", "flowcontrol.apiserver", "networking", "node", "rbac.authorization",
        "resource", "scheduling", "storage",
    )
)  # fmt: skip


@dataclass
class Needed:
    """Resource and object of what is needed, the kinds that could not be read with the reason, and grants by hand."""

    objects: list[tuple[str, Object]] = field(default_factory=list)
    unreadable: dict[str, Text] = field(default_factory=dict)
    grants: list[Missing] = field(default_factory=list)


def needed_by(connection: Connection, objects: Collection[Object], spec: Spec, *, whole: bool) -> Needed:
    """What these objects need. `whole` says that they are all that the namespaces have, rather than a choice of them.

    Raises KubeError where the cluster cannot be read at all.
    """
    found = Needed()
    reader = _Reader(connection, found)
    namespaces = frozenset(spec.namespaces)
    accounts = None if whole else _accounts(objects)
    services = None if whole else {key_of(obj)[2:] for obj in objects if type_of(obj) == ("", "Service")}
    reader.take_named(DEFINITIONS, _definitions(connection.discovery(), objects))
    reader.take_named(PRIORITIES, _priority_classes(objects))
    reader.take(BINDINGS, lambda each: binds(each, namespaces, accounts))
    for resource in WEBHOOKS:
        reader.take(resource, lambda each: _calls(_clients(each), namespaces, services))
    if connection.discovery().find(API_SERVICES):
        reader.take(API_SERVICES, lambda each: _calls([section(each, "spec")], namespaces, services))
    _roles(reader, [*objects, *(obj for _resource, obj in found.objects)])
    if connection.discovery().find(CONSTRAINTS):
        for each in reader.listed(CONSTRAINTS):
            found.grants += _grants(each, spec)
    return found


def read_for(discovery: Discovery, objects: Collection[Object]) -> list[tuple[str, str]]:
    """What `needed_by` asks for, as verb and resource; all that it ever does where no objects are known yet."""
    names = {
        DEFINITIONS: _definitions(discovery, objects),
        PRIORITIES: _priority_classes(objects),
        ROLES: _cluster_roles(objects),
    }
    found = [("get", resource) for resource, wanted in names.items() if wanted or not objects]
    found += [("list", ROLES)] if names[ROLES] or not objects else []
    found += [("list", each) for each in (BINDINGS, *WEBHOOKS, API_SERVICES, CONSTRAINTS)]
    return [(verb, resource) for verb, resource in found if discovery.find(resource) is not None]


class _Reader:
    """Asks for kinds, and remembers those that it may not read."""

    def __init__(self, connection: Connection, found: Needed) -> None:
        self._connection, self._found = connection, found

    def listed(self, resource: str, label_selector: str = "") -> Iterator[Object]:
        try:
            yield from self._connection.list(resource, label_selector=label_selector)
        except (Forbidden, NotFound) as error:
            self._found.unreadable[resource] = error.message

    def take(self, resource: str, is_needed: Callable[[Object], bool]) -> None:
        self._found.objects += [(resource, each) for each in self.listed(resource) if is_needed(each)]

    def take_named(self, resource: str, names: Iterable[str]) -> list[Object]:
        """Those of the names that are there."""
        there = []
        for name in sorted(names):
            try:
                there.append(self._connection.get(resource, name))
            except NotFound:
                continue
            except Forbidden as error:
                self._found.unreadable[resource] = error.message
                break
        self._found.objects += [(resource, each) for each in there if not is_bootstrap(each)]
        return there


def _definitions(discovery: Discovery, objects: Collection[Object]) -> set[str]:
    types = {(obj["apiVersion"], obj["kind"]) for obj in objects}
    resources = [discovery.by_kind(*each) for each in types]
    return {each.name for each in resources if each and "." in each.group and each.group not in BUILT_IN_GROUPS}


def _priority_classes(objects: Collection[Object]) -> set[str]:
    names = {spec.get("priorityClassName") for obj in objects for _at, spec in pod_specs(obj)}
    return {
        name
        for name in names
        if isinstance(name, str) and name and not name.startswith("system-") and name not in BUILT_IN_PRIORITIES
    }


def _accounts(objects: Collection[Object]) -> set[tuple[str, str]]:
    """Namespace and name of the accounts that go along, and those that every namespace of a chosen object has."""
    places = {key_of(obj)[2] for obj in objects}
    chosen = {key_of(obj)[2:] for obj in objects if type_of(obj) == ("", "ServiceAccount")}
    return chosen | {(place, "default") for place in places}


def binds(binding: Object, namespaces: Collection[str], accounts: Collection[tuple[str, str]] | None = None) -> bool:
    """Whether a ClusterRoleBinding has a subject in the namespaces and, where given, among the accounts."""
    if is_bootstrap(binding):
        return False
    for each in binding.get("subjects") or ():
        if lies_within(each, namespaces):
            account = account_of(each)
            if accounts is None or account is None or account in accounts:
                return True
    return False


def is_bootstrap(obj: Object) -> bool:
    """Whether API servers make it themselves."""
    name = obj["metadata"]["name"]
    return name.startswith("system:") or labels_of(obj).get("kubernetes.io/bootstrapping") == "rbac-defaults"


def _clients(configuration: Object) -> list[Object]:
    return [section(each, "clientConfig") for each in configuration.get("webhooks") or ()]


def _calls(
    clients: Iterable[Object], namespaces: Collection[str], services: Collection[tuple[str, str]] | None
) -> bool:
    """Whether one of the clients calls a Service of the namespaces and, where given, among the services."""
    called = [section(client, "service") for client in clients]
    places = [(str(each.get("namespace")), str(each.get("name"))) for each in called]
    return any(place[0] in namespaces and (services is None or place in services) for place in places)


def _cluster_roles(objects: Collection[Object]) -> set[str]:
    """The names of ClusterRoles that bindings name."""
    return {
        obj["roleRef"]["name"]
        for obj in objects
        if type_of(obj) in ((RBAC, "RoleBinding"), (RBAC, "ClusterRoleBinding"))
        and obj["roleRef"]["kind"] == "ClusterRole"
        and not obj["roleRef"]["name"].startswith("system:")
    }


def _roles(reader: _Reader, objects: Collection[Object]) -> None:
    """The ClusterRoles that bindings name, and those whose rules the aggregated ones among them are made of."""
    names = _cluster_roles(objects)
    there = reader.take_named(ROLES, names)
    selectors = [
        LabelSelector.from_object(each)
        for role in there
        if not is_bootstrap(role)
        for each in section(role, "aggregationRule").get("clusterRoleSelectors") or ()
    ]
    if selectors:
        reader.take(
            ROLES,
            lambda each: (
                each["metadata"]["name"] not in names
                and not is_bootstrap(each)
                and any(selector.matches(labels_of(each)) for selector in selectors)
            ),
        )


def _grants(constraints: Object, spec: Spec) -> list[Missing]:
    """SecurityContextConstraints belong to a cluster: that they name our accounts has to be granted there again."""
    name = constraints["metadata"]["name"]
    needed = ("security.openshift.io", "SecurityContextConstraints", "", name)
    found = []
    subjects = [{"kind": "User", "name": each} for each in constraints.get("users") or ()]
    subjects += [{"kind": "Group", "name": each} for each in constraints.get("groups") or ()]
    for subject in subjects:
        if not lies_within(subject, spec.namespaces):
            continue
        account = account_of(subject)
        place = spec.namespace_for(namespace_of(subject))
        command = (
            f"oc adm policy add-scc-to-user {name} -z {account[1]} -n {place}"
            if account
            else f"oc adm policy add-scc-to-group {name} system:serviceaccounts:{place}"
        )
        user = ("", "ServiceAccount", *account) if account else ("", "Namespace", "", namespace_of(subject))
        reason = said(
            "lets it run its pods by naming it, which is not carried; on the destination: {command}", command=command
        )
        found.append(Missing(user, needed, reason, at=f"{subject['kind'].lower()}s"))
    return found
