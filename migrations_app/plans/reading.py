"""What pages and answers show of a plan. Everything is counted and cut to pages by the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.db.models import Count, Min, Q, QuerySet

from migrations_app.plans.models import MigrationPlan, PlannedAction, PlannedObject
from migrations_app.resources.dry_run import PLAIN
from migrations_app.resources.marks import named
from migrations_app.resources.selection import BY_NAME, WITH_ITS_KIND

Key = tuple[str, str, str, str]
KEY = ("group", "kind", "source_namespace", "name")
ROWS_PER_PAGE = 100
CAVEATS_SHOWN = 5
# Actions in the order in which a reader wants to know of them.
SHOWN_FIRST = (
    PlannedAction.REFUSED,
    PlannedAction.CONFLICT,
    PlannedAction.PURGE,
    PlannedAction.CREATE,
    PlannedAction.UPDATE,
    PlannedAction.SKIP,
    PlannedAction.UNCHANGED,
    PlannedAction.LEFT_OUT,
)
WAITING = "waiting"


@dataclass(frozen=True)
class Filters:
    """Which objects are wanted: a text in kind, name, namespace or reason; what becomes of them; a namespace."""

    text: str = ""
    action: str = ""
    namespace: str = ""

    @classmethod
    def of(cls, given: Any) -> Filters:
        """From the query of an address; an action that there is not is passed over."""
        action = given.get("action", "")
        return cls(
            text=given.get("q", "").strip()[:253],
            action=action if action in PlannedAction.values else "",
            namespace=given.get("namespace", "").strip()[:63],
        )

    def __bool__(self) -> bool:
        return bool(self.text or self.action or self.namespace)

    @property
    def query(self) -> str:
        """What continues the query of an address."""
        given = {"q": self.text, "action": self.action, "namespace": self.namespace}
        return "".join(f"&{name}={quote(value)}" for name, value in given.items() if value)

    def apply(self, rows: QuerySet[PlannedObject]) -> QuerySet[PlannedObject]:
        if self.text:
            rows = rows.filter(
                Q(name__icontains=self.text)
                | Q(kind__icontains=self.text)
                | Q(namespace__icontains=self.text)
                | Q(reason__icontains=self.text)
            )
        if self.namespace:
            rows = rows.filter(Q(namespace=self.namespace) | Q(source_namespace=self.namespace))
        if self.action == PlannedAction.LEFT_OUT:
            return rows.filter(included=False)
        return rows.filter(included=True, action=self.action) if self.action else rows


def _counting() -> dict[str, Count]:
    """How many objects there are of each action, those that stay behind counted as that and nothing else."""
    counts = {
        each.value: Count("pk", filter=Q(included=True, action=each))
        for each in PlannedAction
        if each != PlannedAction.LEFT_OUT
    }
    counts[PlannedAction.LEFT_OUT.value] = Count("pk", filter=Q(included=False))
    counts[WAITING] = Count("pk", filter=Q(included=True, action=""))
    return counts


def counts(plan: MigrationPlan) -> dict[str, int]:
    """How many objects there are of each action (and `waiting` for an answer)."""
    return plan.objects_planned.aggregate(**_counting())


@dataclass(frozen=True)
class KindLine:
    """One kind in the tree, with how many of its objects fit the filter, by what becomes of them."""

    resource: str
    kind: str
    group: str
    total: int
    actions: dict[str, int]
    # Of those that can go along without being named one by one.
    choosable: int
    included: int

    @property
    def slug(self) -> str:
        """For ids of elements: resources have no underscore."""
        return self.resource.replace(".", "_")

    @property
    def shown_actions(self) -> list[tuple[str, int]]:
        return [(each, self.actions[each]) for each in SHOWN_FIRST if self.actions[each]]


def kinds(plan: MigrationPlan, filters: Filters, only: str = "") -> list[KindLine]:
    """The tree: kinds in the order in which they would be applied, those that wholly stay behind last."""
    rows = filters.apply(plan.objects_planned.all())
    if only:
        rows = rows.filter(resource=only)
    found: Any = (
        rows.values("resource", "kind", "group")
        .annotate(
            total=Count("pk"),
            place=Min("order"),
            included_count=Count("pk", filter=Q(included=True)),
            ruled_out=Count("pk", filter=Q(action=PlannedAction.LEFT_OUT) & ~_taken_out()),
            **_counting(),
        )
        .order_by("place")
    )
    lines = [
        KindLine(
            resource=row["resource"],
            kind=row["kind"],
            group=row["group"],
            total=row["total"],
            actions={name: row[name] for name in (*PlannedAction.values, WAITING)},
            choosable=row["total"] - row["ruled_out"],
            included=row["included_count"],
        )
        for row in found
    ]
    return sorted(lines, key=lambda line: line.included == 0)


def _taken_out() -> Q:
    return Q(reason=BY_NAME) | Q(reason__startswith=WITH_ITS_KIND)


def rows(plan: MigrationPlan, filters: Filters, resource: str = "") -> QuerySet[PlannedObject]:
    """The objects that fit the filter, in order, without what only their own page shows."""
    found = filters.apply(plan.objects_planned.all()).defer("diff", "needs", "missing")
    return found.filter(resource=resource) if resource else found


def caveats(plan: MigrationPlan) -> list[tuple[str, int]]:
    """What is to be said of objects that would be made, and of how many, the most frequent first."""
    found = plan.objects_planned.filter(included=True, action=PlannedAction.CREATE).exclude(reason__in=["", PLAIN])
    return list(found.values_list("reason").annotate(n=Count("pk")).order_by("-n", "reason")[:CAVEATS_SHOWN])


def namespaces(plan: MigrationPlan) -> list[str]:
    """The namespaces of the destination that the plan's objects go to."""
    found = plan.objects_planned.exclude(namespace="").order_by("namespace").values_list("namespace", flat=True)
    return list(found.distinct())


@dataclass
class Lack:
    """Something that is referred to and does not go along, and who refers to it."""

    needed: str
    reason: str
    optional: bool = True
    users: list[PlannedObject] = field(default_factory=list)


def lacking(plan: MigrationPlan, of: Collection[int] | None = None) -> list[Lack]:
    """What objects that go along refer to and would not find, as the plan's selection is now: the dependency closure.

    With `of` only what these objects (by id) lack.
    """
    behind = plan.objects_planned.filter(included=False)
    staying = {
        (group, kind, namespace, name): reason if action == PlannedAction.LEFT_OUT else BY_NAME
        for group, kind, namespace, name, action, reason in behind.values_list(*KEY, "action", "reason")
    }
    users = plan.objects_planned.filter(included=True).exclude(needs=[], missing=[])
    users = users.only("plan", "kind", "namespace", "source_namespace", "name", "needs", "missing")
    found: dict[str, Lack] = {}

    def note(needed: str, reason: str, optional: bool, user: PlannedObject) -> None:
        lack = found.setdefault(needed, Lack(needed, reason))
        lack.optional &= optional
        lack.users.append(user)

    known: set[Key] | None = None
    for user in users if of is None else users.filter(pk__in=of):
        told = {tuple(each["key"]): each for each in user.missing}
        for *parts, optional in user.needs:
            if (key := tuple(parts)) in staying:
                note(named(key), staying[key], optional, user)
        outside = [key for key in told if key not in staying]
        if outside and known is None:
            known = set(plan.objects_planned.values_list(*KEY))
        for key in outside:
            if known is not None and key not in known:
                note(told[key]["needed"], told[key]["reason"], told[key]["optional"], user)
    return sorted(found.values(), key=lambda lack: (lack.optional, lack.needed))
