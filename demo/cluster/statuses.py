"""The API's refusals, worded as Kubernetes words them (k8s.io/apimachinery/pkg/api/errors)."""

from __future__ import annotations

from typing import Any

from demo.cluster.registry import ResourceInfo


class APIError(Exception):
    """A request was refused; `status` is the metav1.Status to answer."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.headers: dict[str, str] = {}
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def _details(info: ResourceInfo, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if info.group:
        details["group"] = info.group
    return {**details, "kind": info.plural, **more}


def not_found(info: ResourceInfo, name: str) -> APIError:
    return APIError(404, "NotFound", f'{info.name} "{name}" not found', _details(info, name))


def already_exists(info: ResourceInfo, name: str) -> APIError:
    return APIError(409, "AlreadyExists", f'{info.name} "{name}" already exists', _details(info, name))


def conflict(info: ResourceInfo, name: str, why: str) -> APIError:
    message = f'Operation cannot be fulfilled on {info.name} "{name}": {why}'
    return APIError(409, "Conflict", message, _details(info, name))


def modified(info: ResourceInfo, name: str) -> APIError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(info, name, why)


def bad_request(message: str) -> APIError:
    return APIError(400, "BadRequest", message)


def method_not_allowed() -> APIError:
    message = "the server does not allow this method on the requested resource"
    return APIError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: list[str]) -> APIError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return APIError(415, "UnsupportedMediaType", message)


def unknown_patch_type() -> APIError:
    return APIError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def unusable_patch() -> APIError:
    """A JSON patch that cannot be applied; the real server does not say why."""
    return APIError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unknown_path() -> APIError:
    return APIError(404, "NotFound", "the server could not find the requested resource", {})


def forbidden(info: ResourceInfo, name: str, why: str, causes: list[dict[str, Any]] | None = None) -> APIError:
    more = {"causes": causes} if causes else {}
    subject = f'{info.name} "{name}"' if name else info.name
    return APIError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(info, name, **more))


def expired(message: str) -> APIError:
    return APIError(410, "Expired", message)


def unavailable() -> APIError:
    """What is said of a group whose own server does not answer."""
    return APIError(503, "ServiceUnavailable", "the server is currently unable to handle the request")


def unauthorized() -> APIError:
    return APIError(401, "Unauthorized", "Unauthorized")


class Cause:
    """One thing that is wrong with a field, as a `field.Error` says it."""

    def __init__(self, reason: str, field: str, message: str) -> None:
        self.reason = reason
        self.field = field
        self.message = message

    def as_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value{f': {detail}' if detail else ''}")


def invalid_value(field: str, value: str, detail: str) -> Cause:
    """`value` is already as Go prints it: a quoted string, JSON, a number."""
    return Cause("FieldValueInvalid", field, f"Invalid value: {value}: {detail}")


def invalid(info: ResourceInfo, name: str, causes: list[Cause]) -> APIError:
    """422 with all that is wrong."""
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    together = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details: dict[str, Any] = {"name": name} if name else {}
    if info.group:
        details["group"] = info.group
    details |= {"kind": info.kind, "causes": [cause.as_dict() for cause in causes]}
    return APIError(422, "Invalid", f'{info.qualified_kind} "{name}" is invalid: {together}', details)
