"""What verbs read from a request, and how they answer it."""

from __future__ import annotations

import json
from typing import Any

import yaml

from demo.cluster import conversions, decoding, statuses, tables
from demo.cluster.api import compact
from demo.cluster.http import Exchange
from demo.cluster.registry import ResourceInfo

Object = dict[str, Any]
NO_CACHE = {"Cache-Control": "no-cache, private"}
JSON = {"Content-Type": "application/json", **NO_CACHE}


async def send(exchange: Exchange, status: int, body: Object, headers: dict[str, str] | None = None) -> None:
    await exchange.respond(status, {**JSON, **(headers or {})}, compact(body) + b"\n")


async def send_object(exchange: Exchange, info: ResourceInfo, status: int, obj: Object, warnings: list[str]) -> None:
    headers = {"Warning": ", ".join(f"299 - {json.dumps(text)}" for text in warnings)} if warnings else {}
    accept = exchange.headers.get("accept", "")
    if "as=Table" in accept:
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        obj = tables.table(info, [obj], metadata, exchange.first("includeObject", "Metadata"))
    elif "as=PartialObjectMetadata;" in accept:
        obj = tables.partial(obj)
    else:
        obj = {"kind": info.kind, "apiVersion": info.api_version, **conversions.served(info, obj)}
    await send(exchange, status, obj, headers)


def body_of(exchange: Exchange, kind: str = "") -> Any:
    content_type = exchange.headers.get("content-type", "application/json").partition(";")[0].strip()
    accepted = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
    if content_type not in accepted[:2]:
        raise statuses.unsupported_media_type(accepted)
    try:
        body = json.loads(exchange.body) if content_type == "application/json" else decoding.load_yaml(exchange.body)
    except (ValueError, yaml.YAMLError):
        shown = exchange.body[:30].decode(errors="replace")
        more = f"{shown} ..." if len(exchange.body) > 30 else shown
        raise statuses.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse "
            f"error: unexpected end of JSON input ({more})"
        ) from None
    if not isinstance(body, dict):
        raise statuses.bad_request("the body of the request is not an object")
    return body


def options_of(exchange: Exchange) -> Object:
    options = body_of(exchange) if exchange.body.strip() else {}
    for field in ("propagationPolicy", "gracePeriodSeconds"):
        if value := exchange.first(field):
            options[field] = int(value) if value.isdigit() else value
    return dict(options)


def manager(exchange: Exchange) -> str:
    """Who writes: as asked, or the first word of the user agent."""
    agent = exchange.headers.get("user-agent", "").partition("/")[0].strip()
    return exchange.first("fieldManager") or agent or "unknown"


def is_dry_run(exchange: Exchange) -> bool:
    return exchange.first("dryRun") == "All"
