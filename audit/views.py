"""The history: a page to read and filter it, and its export."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit.filters import EntryFilter
from audit.models import Entry
from audit.reading import readable

ROWS_PER_PAGE = 100
COLUMNS = (
    "at",
    "actor_name",
    "address",
    "team_name",
    "action",
    "object_type",
    "object_id",
    "object_name",
    "before",
    "after",
    "request_id",
    "user_agent",
)


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    found = EntryFilter(request.GET, queryset=readable(request.user))
    page = Paginator(found.qs, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "audit/history.html", {"filter": found, "page": page})


@require_GET
def history_export(request: HttpRequest) -> HttpResponseBase:
    """The filtered history whole, as `?format=csv` (the default) or `?format=json`, one row after the other."""
    entries = EntryFilter(request.GET, queryset=readable(request.user)).qs
    as_json = request.GET.get("format") == "json"
    response = StreamingHttpResponse(
        _json(entries) if as_json else _csv(entries),
        content_type="application/json" if as_json else "text/csv; charset=utf-8",
    )
    response["Content-Disposition"] = f'attachment; filename="history.{"json" if as_json else "csv"}"'
    return response


def _rows(entries: QuerySet[Entry]) -> Iterator[dict[str, Any]]:
    yield from entries.values(*COLUMNS).iterator(chunk_size=1000)


def _json(entries: QuerySet[Entry]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(_rows(entries)):
        yield (",\n" if number else "\n") + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
    yield "\n]\n"


class _Echo:
    def write(self, value: str) -> str:
        return value


def _csv(entries: QuerySet[Entry]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in _rows(entries):
        yield writer.writerow([_cell(row[column]) for column in COLUMNS])


def _cell(value: Any) -> str:
    """The text of a cell. A leading quote keeps spreadsheets from running names that look like formulas."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
