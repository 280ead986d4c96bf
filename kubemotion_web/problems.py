"""Errors of the API as RFC 9457 problem details: what was wrong, where, and what to do.

What is raised in a view of the API comes through `exception_handler`. What Django answers before or beside a view (a
request that it does not take, a bug) comes through `bad_request` and `server_error`, which `urls` names.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from audit import context
from teams.refusals import Refusal

CONTENT_TYPE = "application/problem+json"


def exception_handler(error: Exception, view_context: dict[str, Any]) -> Response | None:
    """The answer for an error raised in an API view; None lets the server answer 500."""
    if isinstance(error, Refusal):
        set_rollback()
        problem = {"title": str(error.title), "status": error.status, "detail": str(error)}
        if error.errors:
            problem["errors"] = _flat(error.errors)
        return _problem(problem, error.status)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    response = drf_exception_handler(error, view_context)
    if response is None:
        return None
    problem = {"title": _title(error), "status": response.status_code}
    if isinstance(error, exceptions.ValidationError):
        problem["detail"] = _("The request has errors; `errors` names each field.")
        problem["errors"] = _flat(response.data)
    elif isinstance(response.data, dict):
        problem["detail"] = _detail(error, response.data)
    answer = _problem(problem, response.status_code)
    for header in ("WWW-Authenticate", "Retry-After", "Allow"):
        if header in response.headers:
            answer[header] = response[header]
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400: a host, size or form of request that it does not take."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    detail = _("The request is not well-formed, is too large, or is for a host that is not served here.")
    return _answer({"title": _("Malformed request"), "status": 400, "detail": detail})


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500: a bug. What it was stays in the log, where the request's id finds it."""
    if not _is_api(request):
        return defaults.server_error(request)
    detail = _("This is a fault of ours. Whoever runs this server finds it in the log by the request_id.")
    return _answer({"title": _("Something went wrong"), "status": 500, "detail": detail})


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _answer(problem: dict[str, Any]) -> HttpResponse:
    return JsonResponse(_body(problem), status=problem["status"], content_type=CONTENT_TYPE)


def _problem(problem: dict[str, Any], status: int) -> Response:
    return Response(_body(problem), status=status, content_type=CONTENT_TYPE)


def _body(problem: dict[str, Any]) -> dict[str, Any]:
    return {"type": "about:blank", **problem, "request_id": context.request_id.get()}


def _title(error: Exception) -> str:
    if isinstance(error, Http404):
        return _("Not found")
    if isinstance(error, exceptions.MethodNotAllowed):
        return _("This verb is not served here")
    if isinstance(error, exceptions.UnsupportedMediaType):
        return _("This content type is not taken")
    default = getattr(error, "default_detail", None)
    return str(default).rstrip(".") if default else type(error).__name__


def _detail(error: Exception, data: dict[str, Any]) -> str:
    if isinstance(error, Http404 | exceptions.NotFound):
        # What Django says of a missing row names the model, which says nothing to whoever asks.
        return _("There is nothing here, or nothing that you may see.")
    return str(data.get("detail", ""))


def _flat(errors: Any, at: str = "") -> list[dict[str, str]]:
    """Nested error dicts and lists as a list of {"pointer", "detail"}."""
    if isinstance(errors, dict):
        return [
            row
            for key, value in errors.items()
            for row in _flat(value, f"{at}/{_escaped(key)}" if key != "non_field_errors" else at)
        ]
    if isinstance(errors, list):
        nested = any(isinstance(value, dict | list) for value in errors)
        return [row for i, value in enumerate(errors) for row in _flat(value, f"{at}/{i}" if nested else at)]
    # The empty pointer is the whole body.
    return [{"pointer": at, "detail": str(errors)}]


def _escaped(key: Any) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")
