"""As much OpenAPI as kubectl needs: it wants documents before it validates, and skips kinds that they do not have."""

from __future__ import annotations

import json

Answer = tuple[int, dict[str, str], bytes]
# Asked for with "@v1.0", which is no valid media type, and therefore answered with ".v1.0".
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# openapi.v2.Document: field 1 (swagger) "2.0", field 2 (info) with title and version.
TITLE, VERSION = b"Kubernetes", b"v1.36.2"
INFO = b"\x0a" + bytes([len(TITLE)]) + TITLE + b"\x12" + bytes([len(VERSION)]) + VERSION
DOCUMENT = b"\x0a\x03" + b"2.0" + b"\x12" + bytes([len(INFO)]) + INFO


def answer(parts: list[str], accept: str) -> Answer | None:
    """Status, headers and body for a path below /openapi, or None where there is nothing."""
    if parts == ["openapi", "v2"]:
        if "protobuf" in accept:
            return 200, {"Content-Type": PROTOBUF}, DOCUMENT
        body = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.2"}, "paths": {}, "definitions": {}}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
    if parts == ["openapi", "v3"]:
        return 200, {"Content-Type": "application/json"}, json.dumps({"paths": {}}).encode()
    return None
