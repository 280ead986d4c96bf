"""What the OpenAPI description cannot read from the views: how errors look."""

from __future__ import annotations

from typing import Any

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What was wrong, where, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "example": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "What is wrong with the request's body, field by field.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body."},
                    "detail": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string", "description": "The same as in the server's log and history."},
    },
}
ANSWER: dict[str, Any] = {
    "description": "Anything that did not work.",
    "content": {
        "application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": "about:blank",
                "title": "Not possible as asked",
                "status": 400,
                "detail": "The object store cannot be as given.",
                "errors": [{"pointer": "/bucket", "detail": "A bucket's name has 3 to 63 lower-case letters, …"}],
                "request_id": "0d4f6f0f5d0a4f6e9a3c1d2b7e8f9a01",
            },
        }
    },
}


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Say of every operation how its errors look."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components.setdefault("responses", {})["Problem"] = ANSWER
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return result
