"""The whole application against the destination, in order, without changing anything: what would become of each object.

The server itself answers, by server-side dry runs (`dryRun=All`): admission, webhooks, quota and validation included.
Two things it cannot look at before they are there, and no other place is tried in their stead, since its quota and
policies would be another's:

- Objects of a namespace that does not exist yet. The namespace itself is tried, and whether its objects may be made.
- Custom resources whose definition goes along. It is checked whether that one serves their version.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, Invalid, KubeError, NotFound
from clusters.texts import NOTHING, Text, as_it_is, listed, said, sentences
from migrations_app.resources import order
from migrations_app.resources.diffs import FieldDiff, alterations, redacted
from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.meeting import (
    DEFINITION,
    NOT_ABOUT_THE_OBJECT,
    Action,
    Decision,
    Ours,
    decide,
    not_served,
)
from migrations_app.resources.once import once
from migrations_app.resources.present import Present
from migrations_app.resources.spec import ConflictPolicy
from migrations_app.resources.writing import create

Object = dict[str, Any]
WORKERS = 4
BINDINGS = {("rbac.authorization.k8s.io", kind) for kind in ("RoleBinding", "ClusterRoleBinding")}
# As the plan says it; what is not named here is called the same.
SHOWN = {Action.MADE: "unchanged", Action.LEND: "update"}
PLAIN = said("The server would make it")


def _altered(diff: Iterable[FieldDiff]) -> Text:
    return said(
        "The destination makes it otherwise than it comes, by rules of its own or by a webhook: {fields}.",
        fields=listed(each.path for each in diff),
    )


@dataclass(frozen=True)
class Planned:
    """What would become of one object: `action` is create, update, unchanged, skip, conflict or refused."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    action: str
    reason: Text
    diff: list[FieldDiff] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def dry_run(
    connection: Connection,
    objects: Iterable[Object],
    *,
    migration_id: str,
    policy: ConflictPolicy,
    on_planned: Callable[[Planned], None],
    workers: int = WORKERS,
    stop_at: float | None = None,
    earlier: Collection[str] = (),
) -> bool:
    """Try all objects in order; whether all were tried before `stop_at` (time.monotonic), if that is given.

    `on_planned` is called in this thread, once per object, in the order in which they would be applied. `earlier`
    names the earlier migrations over the same pair. Raises KubeError only where the destination is out of reach or
    does not know us any more.
    """
    wanted = order.ordered(objects)
    trial = _Trial(connection, wanted, Ours(migration_id, earlier), policy)
    with ThreadPoolExecutor(workers, thread_name_prefix="dry-run") as pool:
        for start in range(0, len(wanted), workers * 8):
            if stop_at is not None and time.monotonic() > stop_at:
                return False
            for planned in pool.map(trial.of, wanted[start : start + workers * 8]):
                on_planned(planned)
    return True


def counts(planned: Iterable[Planned]) -> dict[str, int]:
    """How many objects come to each action."""
    return dict(Counter(each.action for each in planned))


class _Trial:
    """What is known of the destination while the objects are tried."""

    def __init__(self, connection: Connection, objects: list[Object], ours: Ours, policy: ConflictPolicy) -> None:
        self._connection, self._ours, self._policy = connection, ours, policy
        self._present = Present(connection, objects)
        self._along = {key_of(obj) for obj in objects}
        self._definitions = {
            (obj["spec"]["group"], obj["spec"]["names"]["kind"]): obj for obj in objects if type_of(obj) == DEFINITION
        }
        # Asked once each, by whichever thread comes first: asking twice does no harm.
        self._served = once(self._is_served)
        self._stands_in_the_way = once(self._namespace)
        self._may_make = once(self._may_be_made)

    def of(self, obj: Object) -> Planned:
        """What would become of the object. Raises KubeError for what is not about it."""
        try:
            return self._planned(obj, self._decided(obj))
        except NOT_ABOUT_THE_OBJECT:
            raise
        except KubeError as error:
            return self._planned(obj, Decision(Action.REFUSED, redacted(obj, error.message)))

    def _decided(self, obj: Object) -> Decision:
        if not self._served(obj["apiVersion"], obj["kind"]):
            return self._undefined(obj)
        namespace = obj["metadata"].get("namespace")
        if namespace:
            exists, refused = self._stands_in_the_way(namespace)
            if refused:
                return Decision(Action.REFUSED, refused)
            if not exists:
                return self._unseen(obj, namespace)
        decision = decide(self._connection, obj, self._present.of(obj), self._ours, self._policy)
        return self._tried(obj) if decision.action == Action.CREATE else decision

    def _tried(self, obj: Object) -> Decision:
        """The creation, as the server would do it."""
        try:
            answer = create(self._connection, obj, dry_run=True)
        except NOT_ABOUT_THE_OBJECT:
            raise
        except Invalid as error:
            if "does not support dry run" not in error.message:
                raise
            reason = said(
                "It would be made; the server cannot try it beforehand, as a webhook has side effects. {message}",
                message=error.message,
            )
            return Decision(Action.CREATE, reason, warnings=(error.message,))
        except (Forbidden, NotFound) as error:
            if (needed := self._role_along(obj)) is None:
                raise
            reason = said(
                "It would be made after {needed}, without which the server cannot check it: {message}",
                needed=needed,
                message=error.message,
            )
            return Decision(Action.CREATE, reason)
        altered = tuple(alterations(obj, answer.obj))
        told = (_altered(altered),) if altered else ()
        return Decision(Action.CREATE, PLAIN, diff=altered, warnings=(*answer.warnings, *told))

    def _role_along(self, obj: Object) -> str | None:
        """The role that a binding grants, where it goes along: who grants it must hold its permissions."""
        if type_of(obj) not in BINDINGS:
            return None
        role = obj.get("roleRef") or {}
        namespace = obj["metadata"].get("namespace", "") if role.get("kind") == "Role" else ""
        key = ("rbac.authorization.k8s.io", str(role.get("kind")), namespace, str(role.get("name")))
        return f"{key[1]} {key[3]}" if key in self._along else None

    # -- what the server cannot try yet

    def _is_served(self, api_version: str, kind: str) -> bool:
        try:
            self._connection.resource_of({"apiVersion": api_version, "kind": kind})
        except NotFound:
            return False
        return True

    def _undefined(self, obj: Object) -> Decision:
        """Of a kind that the destination does not have: good where its definition goes along."""
        group, _slash, version = obj["apiVersion"].rpartition("/")
        definition = self._definitions.get((group, obj["kind"]))
        if definition is None:
            return Decision(Action.REFUSED, not_served(obj))
        name = definition["metadata"]["name"]
        served = [each["name"] for each in definition["spec"]["versions"] if each.get("served")]
        if version not in served:
            reason = said(
                "Its definition {name} goes along, but serves {served} and not {version}",
                name=name,
                served=served,
                version=version,
            )
            return Decision(Action.REFUSED, reason)
        reason = said(
            "It would be made after its definition {name}. Checked against that only, which serves {version}",
            name=name,
            version=version,
        )
        return Decision(Action.CREATE, reason)

    def _namespace(self, name: str) -> tuple[bool, Text]:
        """Whether the namespace exists, and what stands in the way of its use."""
        try:
            found = self._connection.get("namespaces", name)
        except NotFound:
            pass
        except Forbidden:
            return True, NOTHING
        else:
            going = found["metadata"].get("deletionTimestamp")
            return True, said(
                "The namespace {name} is being deleted on the destination.", name=name
            ) if going else NOTHING
        try:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._connection.create("namespaces", namespace, dry_run=True)
        except NOT_ABOUT_THE_OBJECT:
            raise
        except KubeError as error:
            return False, sentences(said("The namespace {name} cannot be made.", name=name), error.message)
        return False, NOTHING

    def _may_be_made(self, api_version: str, kind: str, namespace: str) -> str:
        """The permission that is lacking to make objects of the kind, or an empty text."""
        resource = self._connection.resource_of({"apiVersion": api_version, "kind": kind})
        for verb in ("create", "patch"):
            if not self._connection.can_i(verb, resource.name, namespace):
                return f"{verb} {resource.name}"
        return ""

    def _unseen(self, obj: Object, namespace: str) -> Decision:
        if lacking := self._may_make(obj["apiVersion"], obj["kind"], namespace):
            return Decision(
                Action.REFUSED,
                said("The account may not {lacking} in namespace {namespace}.", lacking=lacking, namespace=namespace),
            )
        reason = said(
            "It would be made with its namespace {namespace}. Checked against permissions and served "
            "versions only: the server tries nothing in a namespace that does not exist",
            namespace=namespace,
        )
        return Decision(Action.CREATE, reason)

    @staticmethod
    def _planned(obj: Object, decision: Decision) -> Planned:
        group, _slash, version = obj["apiVersion"].rpartition("/")
        metadata = obj["metadata"]
        return Planned(
            group=group,
            version=version,
            kind=obj["kind"],
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            action=SHOWN.get(decision.action, decision.action.value),
            reason=decision.reason,
            diff=list(decision.diff),
            warnings=[redacted(obj, as_it_is(each)) for each in decision.warnings],
        )
