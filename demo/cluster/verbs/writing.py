"""Create, replace, patch and apply."""

from __future__ import annotations

import json
from typing import Any

import yaml

from demo.cluster import applying, conversions, decoding, patches, pod_security, statuses, writes
from demo.cluster.api import ClusterAPI
from demo.cluster.authentication import User
from demo.cluster.copies import copied
from demo.cluster.exchanges import body_of, is_dry_run, manager, send, send_object
from demo.cluster.http import Exchange
from demo.cluster.registry import ResourceInfo
from demo.cluster.scales import scale_of
from demo.cluster.statuses import APIError
from demo.cluster.targets import Target, authorize, stored, stored_name

Object = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", STRATEGIC, "application/apply-patch+yaml")


async def create(api: ClusterAPI, exchange: Exchange, user: User, target: Target) -> None:
    info = target.info
    body = body_of(exchange, info.kind)
    decoding.check_body(info, body, target.namespace, None)
    body, warnings = decoding.decode_strictly(info, body, exchange.first("fieldValidation", "Warn"))
    made = writes.create(
        api,
        _storage_info(api, info),
        conversions.stored(info, body),
        namespace=target.namespace,
        user=user.name,
        manager=manager(exchange),
        dry_run=is_dry_run(exchange),
        warnings=warnings,
    )
    warnings += _pod_security(api, info, made)
    await send_object(exchange, info, 201, made, warnings)


async def replace(api: ClusterAPI, exchange: Exchange, user: User, target: Target) -> None:
    info = target.info
    body = body_of(exchange, "Scale" if target.subresource == "scale" else info.kind)
    if target.subresource == "scale":
        await _rescale(api, exchange, info, stored(api, target), body.get("spec", {}).get("replicas", 0))
        return
    decoding.check_body(info, body, target.namespace, target.name)
    body, warnings = decoding.decode_strictly(info, body, exchange.first("fieldValidation", "Warn"))
    body["metadata"] = {**(body.get("metadata") or {}), "name": target.name}
    if info.namespaced:
        body["metadata"]["namespace"] = target.namespace
    await _update(api, exchange, user, target, body, warnings)


async def patch(api: ClusterAPI, exchange: Exchange, user: User, target: Target) -> None:
    info = target.info
    content_type = exchange.headers.get("content-type", "").partition(";")[0].strip()
    if content_type not in PATCH_TYPES:
        raise statuses.unknown_patch_type()
    if info.custom is not None and content_type == STRATEGIC:
        raise statuses.unsupported_media_type([each for each in PATCH_TYPES if each != STRATEGIC])
    if content_type == "application/apply-patch+yaml":
        await _apply(api, exchange, user, target)
        return
    old = stored(api, target)
    current = scale_of(old) if target.subresource == "scale" else conversions.served(info, old)
    changed = _patched(exchange, info, copied(current), content_type)
    if target.subresource == "scale":
        await _rescale(api, exchange, info, old, int(changed["spec"].get("replicas", 0)))
        return
    decoding.check_body(info, changed, target.namespace, target.name)
    changed, warnings = decoding.decode_strictly(info, changed, exchange.first("fieldValidation", "Warn"))
    await _update(api, exchange, user, target, changed, warnings)


async def _apply(api: ClusterAPI, exchange: Exchange, user: User, target: Target) -> None:
    info = target.info
    applies = exchange.first("fieldManager")
    if not applies:
        cause = statuses.required("fieldManager", "is required for apply patch")
        details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause.as_dict()]}
        message = f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {cause.message}'
        raise APIError(422, "Invalid", message, details)
    try:
        body = json.loads(exchange.body) if exchange.body[:1] == b"{" else decoding.load_yaml(exchange.body)
    except (ValueError, yaml.YAMLError) as error:
        raise statuses.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(body, dict):
        raise statuses.bad_request("error decoding YAML: the patch is not an object")
    fits = decoding.fits(info, body)
    if not fits:
        decoding.check_types(info, body)
    decoding.check_body(info, body, target.namespace, target.name)
    if (body.get("metadata") or {}).get("managedFields") is not None:
        raise statuses.bad_request("metadata.managedFields must be nil")
    warnings: list[str] = []
    if not fits:
        body, warnings = decoding.decode_strictly(info, body, exchange.first("fieldValidation", "Warn"))
    if api.store.get(stored_name(info), target.namespace, target.name) is None:
        # Who makes something by applying has to be allowed both.
        authorize(api, exchange, user, target, verb="create")
    done, created = applying.apply(
        api,
        _storage_info(api, info),
        conversions.stored(info, body),
        namespace=target.namespace,
        name=target.name,
        manager=applies,
        force=exchange.first("force") == "true",
        dry_run=is_dry_run(exchange),
        user=user.name,
        warnings=warnings,
    )
    warnings += _pod_security(api, info, done)
    await send_object(exchange, info, 201 if created else 200, done, warnings)


async def _update(
    api: ClusterAPI, exchange: Exchange, user: User, target: Target, body: Object, warnings: list[str]
) -> None:
    """Write what is to stand there, and answer with what came of it."""
    done = writes.update(
        api,
        _storage_info(api, target.info),
        conversions.stored(target.info, body),
        subresource=target.subresource or None,
        user=user.name,
        manager=manager(exchange),
        dry_run=is_dry_run(exchange),
        warnings=warnings,
    )
    await send_object(exchange, target.info, 200, done, warnings)


async def _rescale(api: ClusterAPI, exchange: Exchange, info: ResourceInfo, old: Object, replicas: int) -> None:
    obj = copied(old)
    obj["spec"]["replicas"] = replicas
    # A Scale leaves out zero replicas, so that nobody manages them after it.
    disowned = frozenset() if replicas else frozenset({("f:spec", "f:replicas")})
    done = writes.update(
        api,
        info,
        obj,
        subresource="scale",
        manager=manager(exchange),
        dry_run=is_dry_run(exchange),
        disowned=disowned,
    )
    await send(exchange, 200, scale_of(done))


def _patched(exchange: Exchange, info: ResourceInfo, current: Object, content_type: str) -> Object:
    try:
        body = json.loads(exchange.body)
    except ValueError as error:
        raise statuses.bad_request(f"error decoding patch: {error}") from None
    if content_type == "application/json-patch+json":
        try:
            return patches.json_patch(current, body)
        except patches.PatchFailed as error:
            raise statuses.unusable_patch() from error
    if content_type == "application/merge-patch+json":
        return patches.merge(current, body)
    return patches.strategic(current, body, decoding.schema_of(info))


def _storage_info(api: ClusterAPI, info: ResourceInfo) -> ResourceInfo:
    """The version in which the resource is stored."""
    if info.custom is None and info.kind in conversions.STORED:
        return api.info(stored_name(info))
    return info


def _pod_security(api: ClusterAPI, info: ResourceInfo, obj: Object) -> list[str]:
    namespace = api.store.get("namespaces", "", obj["metadata"].get("namespace", ""))
    return pod_security.warnings(namespace, info.name, obj) if namespace else []
