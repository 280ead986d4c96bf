"""What pages show of a migration's objects: all in one table while they are few, else kind by kind and in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, Min, Q, QuerySet, Value, When

from migrations_app.models import Migration, MigrationResource, Status

# So many are shown, and pushed while the page is open, in one table.
WHOLE = 100
ROWS_PER_PAGE = 100
# Statuses in the order in which a reader wants to know of them.
SHOWN_FIRST = (Status.FAILED, Status.IN_PROGRESS, Status.PENDING, Status.SUCCESSFUL)


@dataclass(frozen=True)
class Filters:
    """Which objects are wanted: a text in kind, name, namespace or reason; a status."""

    text: str = ""
    status: str = ""

    @classmethod
    def of(cls, given: Any) -> Filters:
        """From the query of an address; a status that there is not is passed over."""
        status = given.get("status", "")
        return cls(text=given.get("q", "").strip()[:253], status=status if status in Status.values else "")

    def __bool__(self) -> bool:
        return bool(self.text or self.status)

    @property
    def query(self) -> str:
        """What continues the query of an address."""
        given = {"q": self.text, "status": self.status}
        return "".join(f"&{name}={quote(value)}" for name, value in given.items() if value)

    def apply(self, rows: QuerySet[MigrationResource]) -> QuerySet[MigrationResource]:
        if self.text:
            rows = rows.filter(
                Q(name__icontains=self.text)
                | Q(kind__icontains=self.text)
                | Q(namespace__icontains=self.text)
                | Q(reason__icontains=self.text)
            )
        return rows.filter(status=self.status) if self.status else rows


@dataclass(frozen=True)
class KindLine:
    """One kind, and how many of its objects fit the filter, by their status."""

    kind: str
    group: str
    place: int
    total: int
    statuses: list[tuple[str, int]]

    @property
    def resource(self) -> str:
        """`Deployment.apps`: how addresses name the kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def slug(self) -> str:
        """For ids of elements."""
        return self.resource.replace(".", "_")


def is_whole(total: int) -> bool:
    """Whether so many objects are shown in one table."""
    return total <= WHOLE


def kinds(migration: Migration, filters: Filters, only: str = "") -> list[KindLine]:
    """The kinds in the order in which they are applied."""
    rows = _of_kind(filters.apply(migration.resources.all()), only)
    counted = {status.value: Count("pk", filter=Q(status=status)) for status in Status}
    found: Any = rows.order_by().values("kind", "group").annotate(total=Count("pk"), place=Min("order"), **counted)
    return [
        KindLine(
            kind=row["kind"],
            group=row["group"],
            place=row["place"],
            total=row["total"],
            statuses=[(each, row[each]) for each in SHOWN_FIRST if row[each]],
        )
        for row in found.order_by("place", "kind", "group")
    ]


def page(migration: Migration, filters: Filters, resource: str, number: Any) -> Page[MigrationResource]:
    """One page of the objects of a kind, those that failed first."""
    rows = _of_kind(filters.apply(migration.resources.all()), resource)
    failed_first = Case(When(status=Status.FAILED, then=Value(0)), default=Value(1))
    return Paginator(rows.order_by(failed_first, "order", "pk"), ROWS_PER_PAGE).get_page(number)


def _of_kind(rows: QuerySet[MigrationResource], resource: str) -> QuerySet[MigrationResource]:
    kind, _dot, group = resource.partition(".")
    return rows.filter(kind=kind, group=group) if resource else rows
