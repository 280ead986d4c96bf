"""Get and list."""

from __future__ import annotations

import base64
import json
from typing import Any

from demo.cluster import conversions, selectors, statuses, tables
from demo.cluster.api import ClusterAPI
from demo.cluster.exchanges import send, send_object
from demo.cluster.http import Exchange
from demo.cluster.scales import scale_of
from demo.cluster.statuses import APIError
from demo.cluster.targets import Target, stored, stored_name

Object = dict[str, Any]
CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


async def get(api: ClusterAPI, exchange: Exchange, target: Target) -> None:
    found = stored(api, target)
    if target.subresource == "scale":
        await send(exchange, 200, scale_of(found))
        return
    await send_object(exchange, target.info, 200, found, [])


async def list_(api: ClusterAPI, exchange: Exchange, target: Target) -> None:
    info = target.info
    _check_version(exchange, api)
    matches_labels = selectors.labels(exchange.first("labelSelector"))
    matches_fields = selectors.fields(exchange.first("fieldSelector"), stored_name(info))
    namespace = target.namespace if info.namespaced and target.namespace else None
    limit = int(exchange.first("limit", "0") or 0)
    start, version = "", api.store.version
    if token := exchange.first("continue"):
        start, version = _continue(token)
        if version < api.store.oldest:
            raise statuses.expired(CONTINUE_TOO_OLD)
    found = [
        each
        for each in api.store.objects_at(version, stored_name(info), namespace)
        if (matches_labels is None or matches_labels(each["metadata"].get("labels") or {}))
        and (matches_fields is None or matches_fields(each))
        and (not start or _key(each, namespace) >= start)
    ]
    metadata: Object = {"resourceVersion": str(version)}
    served_from_cache = exchange.first("resourceVersion") == "0" and not token
    if limit and len(found) > limit and not served_from_cache:
        following = {"v": "meta.k8s.io/v1", "rv": version, "start": _key(found[limit - 1], namespace) + "\0"}
        metadata["continue"] = (
            base64.urlsafe_b64encode(json.dumps(following, separators=(",", ":")).encode()).decode().rstrip("=")
        )
        if matches_labels is None and matches_fields is None:
            metadata["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    accept = exchange.headers.get("accept", "")
    if "as=Table" in accept:
        await send(exchange, 200, tables.table(info, found, metadata, exchange.first("includeObject", "Metadata")))
    elif "as=PartialObjectMetadataList" in accept:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        await send(exchange, 200, {**head, "items": [tables.partial(each) for each in found]})
    else:
        head = {"kind": f"{info.kind}List", "apiVersion": info.api_version, "metadata": metadata}
        items = [conversions.served(info, each) for each in found]
        if info.custom is None:
            items = [{k: v for k, v in each.items() if k not in ("kind", "apiVersion")} for each in items]
        else:
            items = [{**each, "apiVersion": info.api_version} for each in items]
            metadata.setdefault("continue", "")
        await send(exchange, 200, {**head, "items": items})


def _key(obj: Object, namespace: str | None) -> str:
    name = f"/{obj['metadata']['name']}"
    return name if namespace is not None else f"/{obj['metadata'].get('namespace', '')}{name}"


def _continue(token: str) -> tuple[str, int]:
    try:
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        following = json.loads(decoded.decode())
        return str(following["start"]), int(following["rv"])
    except (ValueError, KeyError, TypeError):
        first = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:1].decode("latin-1")
        shown = f"\\u{ord(first):04x}" if first and ord(first) > 126 else first
        raise statuses.bad_request(
            f"invalid continue token: continue key is not valid: invalid character '{shown}' "
            "looking for beginning of value"
        ) from None


def _check_version(exchange: Exchange, api: ClusterAPI) -> None:
    asked = exchange.first("resourceVersion")
    if asked.isdigit() and int(asked) > api.store.version:
        error = too_large(int(asked), api.store.version)
        raise error


def too_large(asked: int, current: int) -> APIError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    error = APIError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
    error.headers = {"Retry-After": "1"}
    return error
