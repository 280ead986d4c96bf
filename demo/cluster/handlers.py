"""From a request to an answer: paths, permissions, verbs, representations."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml

from demo.cluster import (
    applying,
    conversions,
    decoding,
    deletion,
    discovery,
    openapi,
    patches,
    pod_security,
    rbac,
    reviews,
    selectors,
    statuses,
    tables,
    writes,
)
from demo.cluster.api import ClusterAPI, compact
from demo.cluster.authentication import ANONYMOUS, User, of_certificate
from demo.cluster.copies import copied
from demo.cluster.http import Exchange
from demo.cluster.registry import NOT_STORED, ResourceInfo
from demo.cluster.statuses import APIError
from demo.cluster.watching import watch

if TYPE_CHECKING:
    from demo.cluster.kubelet import Kubelet

Object = dict[str, Any]
NO_CACHE = {"Cache-Control": "no-cache, private"}
JSON = {"Content-Type": "application/json", **NO_CACHE}
STREAMS = {"log", "exec", "attach", "portforward", "proxy"}
CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
# A deletion answers with the object for these, and with a Status for all others.
DELETED_SHOWN = {
    "pods", "services", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts", "namespaces",
    "storageclasses.storage.k8s.io",
}  # fmt: skip
STRATEGIC = "application/strategic-merge-patch+json"
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", STRATEGIC, "application/apply-patch+yaml")
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "$Format:%H$",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.10",
    "compiler": "gc",
    "platform": "linux/amd64",
}


class Target:
    """What a resource path names."""

    def __init__(self, info: ResourceInfo, namespace: str, name: str, subresource: str) -> None:
        self.info = info
        self.namespace = namespace
        self.name = name
        self.subresource = subresource


class Handlers:
    """Answers the requests to one cluster."""

    def __init__(self, api: ClusterAPI, kubelet: Kubelet, address: str) -> None:
        self.api = api
        self.kubelet = kubelet
        self.address = address

    async def __call__(self, exchange: Exchange) -> None:
        try:
            user = self._user(exchange)
            await self._route(exchange, user)
        except APIError as error:
            if not exchange.answered:
                await exchange.respond(error.code, {**JSON, **error.headers}, compact(error.status) + b"\n")

    def _user(self, exchange: Exchange) -> User:
        header = exchange.headers.get("authorization", "")
        if header.lower().startswith("bearer "):
            user = self.api.tokens.user(header[7:].strip())
            if user is None or not self._exists(user):
                raise statuses.unauthorized()
            return user
        if exchange.peer_certificate:
            return of_certificate(exchange.peer_certificate.get("subject", ())) or ANONYMOUS
        return ANONYMOUS

    def _exists(self, user: User) -> bool:
        """A ServiceAccount's token ends with its account."""
        kind, _, account = user.name.partition("system:serviceaccount:")
        if kind or not account:
            return True
        namespace, _, name = account.partition(":")
        return self.api.store.get("serviceaccounts", namespace, name) is not None

    # -- routing

    async def _route(self, exchange: Exchange, user: User) -> None:
        parts = [part for part in exchange.path.split("/") if part]
        if parts[:1] == ["apis"] and parts[1:2] and parts[1] in self.api.faults.silent_groups and len(parts) > 2:
            raise statuses.unavailable()
        if await self._document(exchange, user, parts):
            return
        target = self._target(parts)
        if target is None:
            plain = {"Content-Type": "text/plain; charset=utf-8", **NO_CACHE}
            if user.is_anonymous:
                raise statuses.APIError(
                    403, "Forbidden", f'forbidden: User "{user.name}" cannot get path "{exchange.path}"', {}
                )
            if len(parts) > 3 and parts[0] in ("api", "apis"):
                plain_known = parts[0] == "api" or "/".join(parts[1:3]) in {
                    f"{name}/{version}" for name, versions in self.api.registry.groups().items() for version in versions
                }
                if plain_known:
                    raise statuses.unknown_path()
            await exchange.respond(404, plain, b"404 page not found\n")
            return
        self._authorize(exchange, user, target)
        if target.subresource.partition("/")[0] in STREAMS and target.info.name == "pods":
            exchange.namespace, exchange.name, exchange.subresource = (
                target.namespace,
                target.name,
                target.subresource.partition("/")[0],
            )
            await self.kubelet.handle(self.api, exchange)
            return
        await self._serve(exchange, user, target)

    async def _document(self, exchange: Exchange, user: User, parts: list[str]) -> bool:
        path = "/" + "/".join(parts)
        if path in ("/healthz", "/livez", "/readyz"):
            await exchange.respond(200, {"Content-Type": "text/plain; charset=utf-8", **NO_CACHE}, b"ok")
            return True
        registry = self.api.registry
        document: Object | None = None
        wants_aggregated = "as=APIGroupDiscoveryList" in exchange.headers.get("accept", "") and (
            "v=v2" in exchange.headers.get("accept", "").replace("v=v2beta1", "")
        )
        if path == "/version":
            document = VERSION
        elif path in ("/api", "/apis") and wants_aggregated:
            if not rbac.path_allowed(user, path):
                raise self._path_refused(user, path)
            silent = self.api.faults.silent_groups
            body = compact(discovery.aggregated(registry, core=path == "/api", silent=silent))
            kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            await exchange.respond(200, {"Content-Type": kind, "Cache-Control": "public"}, body)
            return True
        elif path == "/api":
            document = discovery.api_versions(self.address)
        elif path == "/apis":
            document = discovery.group_list(registry)
        elif path == "/api/v1":
            document = discovery.resource_list(registry, "", "v1")
        elif len(parts) == 2 and parts[0] == "apis":
            document = discovery.group(registry, parts[1])
        elif len(parts) == 3 and parts[0] == "apis":
            document = discovery.resource_list(registry, parts[1], parts[2])
        elif parts and parts[0] == "openapi":
            answer = openapi.answer(parts, exchange.headers.get("accept", ""))
            if answer is not None:
                await exchange.respond(answer[0], answer[1], answer[2])
                return True
        if document is None:
            return False
        if not rbac.path_allowed(user, path):
            raise self._path_refused(user, path)
        await exchange.respond(200, JSON, compact(document) + b"\n")
        return True

    @staticmethod
    def _path_refused(user: User, path: str) -> APIError:
        return APIError(403, "Forbidden", f'forbidden: User "{user.name}" cannot get path "{path}"', {})

    def _target(self, parts: list[str]) -> Target | None:
        if len(parts) >= 3 and parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        elif len(parts) >= 4 and parts[0] == "apis":
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        registry = self.api.registry
        namespace = ""
        if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
            namespace, rest = unquote(rest[1]), rest[2:]
        info = registry.get(group, version, rest[0])
        if info is None:
            return None
        name = unquote(rest[1]) if len(rest) > 1 else ""
        subresource = "/".join(rest[2:])
        if subresource and subresource.partition("/")[0] not in info.subresources:
            return None
        return Target(info, namespace, name, subresource)

    def _authorize(self, exchange: Exchange, user: User, target: Target, *, verb: str = "") -> None:
        verb = verb or self._verb(exchange, target)
        resource = target.info.plural + (f"/{target.subresource.partition('/')[0]}" if target.subresource else "")
        wanted = rbac.Attributes(verb, target.info.group, resource, target.namespace, target.name)
        if target.info.name == "namespaces" and target.name:
            wanted = wanted._replace(namespace=target.name)
        if not rbac.allowed(self.api, user, wanted):
            if target.info.name == "namespaces":
                wanted = wanted._replace(namespace=target.name)
            raise statuses.forbidden(target.info, target.name, rbac.refusal(user, wanted))

    @staticmethod
    def _verb(exchange: Exchange, target: Target) -> str:
        match exchange.method:
            case "POST":
                return "create"
            case "PUT":
                return "update"
            case "PATCH":
                return "patch"
            case "DELETE":
                return "delete" if target.name else "deletecollection"
        if exchange.first("watch") in ("true", "1"):
            return "watch"
        return "get" if target.name else "list"

    # -- verbs

    async def _serve(self, exchange: Exchange, user: User, target: Target) -> None:
        info, method = target.info, exchange.method
        if target.subresource == "token" and info.name == "serviceaccounts":
            await self._json(
                exchange, 201, reviews.token_request(self.api, target.namespace, target.name, self._body(exchange))
            )
            return
        if info.plural in NOT_STORED:
            if method != "POST":
                raise statuses.method_not_allowed()
            await self._json(
                exchange, 201, reviews.answer(self.api, info, user, self._body(exchange), _manager(exchange))
            )
            return
        match method, bool(target.name):
            case "GET", False:
                if exchange.first("watch") in ("true", "1"):
                    await watch(self.api, exchange, info, target.namespace)
                else:
                    await self._list(exchange, target)
            case "GET", True:
                await self._get(exchange, target)
            case "POST", False:
                await self._create(exchange, user, target)
            case "PUT", True:
                await self._replace(exchange, user, target)
            case "PATCH", True:
                await self._patch(exchange, user, target)
            case "DELETE", True:
                await self._delete(exchange, user, target)
            case "DELETE", False:
                await self._delete_collection(exchange, target)
            case _:
                raise statuses.method_not_allowed()

    def _stored(self, target: Target) -> Object:
        found = self.api.store.get(_stored_name(target.info), target.namespace, target.name)
        if found is None:
            raise statuses.not_found(target.info, target.name)
        return found

    async def _json(self, exchange: Exchange, status: int, body: Object, headers: dict[str, str] | None = None) -> None:
        await exchange.respond(status, {**JSON, **(headers or {})}, compact(body) + b"\n")

    async def _object(
        self, exchange: Exchange, info: ResourceInfo, status: int, obj: Object, warnings: list[str]
    ) -> None:
        headers = {"Warning": ", ".join(f"299 - {json.dumps(text)}" for text in warnings)} if warnings else {}
        accept = exchange.headers.get("accept", "")
        if "as=Table" in accept:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            obj = tables.table(info, [obj], metadata, exchange.first("includeObject", "Metadata"))
        elif "as=PartialObjectMetadata;" in accept:
            obj = tables.partial(obj)
        else:
            obj = {"kind": info.kind, "apiVersion": info.api_version, **conversions.served(info, obj)}
        await self._json(exchange, status, obj, headers)

    async def _get(self, exchange: Exchange, target: Target) -> None:
        found = self._stored(target)
        if target.subresource == "scale":
            await self._json(exchange, 200, _scale_of(target.info, found))
            return
        await self._object(exchange, target.info, 200, found, [])

    async def _list(self, exchange: Exchange, target: Target) -> None:
        info, api = target.info, self.api
        _check_version(exchange, api)
        matches_labels = selectors.labels(exchange.first("labelSelector"))
        matches_fields = selectors.fields(exchange.first("fieldSelector"), _stored_name(info))
        namespace = target.namespace if info.namespaced and target.namespace else None
        limit = int(exchange.first("limit", "0") or 0)
        start, version = "", api.store.version
        if token := exchange.first("continue"):
            start, version = _continue(token)
            if version < api.store.oldest:
                raise statuses.expired(CONTINUE_TOO_OLD)
        found = [
            each
            for each in api.store.objects_at(version, _stored_name(info), namespace)
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
            await self._json(
                exchange, 200, tables.table(info, found, metadata, exchange.first("includeObject", "Metadata"))
            )
        elif "as=PartialObjectMetadataList" in accept:
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            await self._json(exchange, 200, {**head, "items": [tables.partial(each) for each in found]})
        else:
            head = {"kind": f"{info.kind}List", "apiVersion": info.api_version, "metadata": metadata}
            items = [conversions.served(info, each) for each in found]
            if info.custom is None:
                items = [{k: v for k, v in each.items() if k not in ("kind", "apiVersion")} for each in items]
            else:
                items = [{**each, "apiVersion": info.api_version} for each in items]
                metadata.setdefault("continue", "")
            await self._json(exchange, 200, {**head, "items": items})

    def _body(self, exchange: Exchange, kind: str = "") -> Any:
        content_type = exchange.headers.get("content-type", "application/json").partition(";")[0].strip()
        accepted = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
        if content_type not in accepted[:2]:
            raise statuses.unsupported_media_type(accepted)
        try:
            body = (
                json.loads(exchange.body) if content_type == "application/json" else decoding.load_yaml(exchange.body)
            )
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

    def _storage(self, info: ResourceInfo) -> ResourceInfo:
        """The version in which the resource is stored."""
        if info.custom is None and info.kind in conversions.STORED:
            return self.api.info(_stored_name(info))
        return info

    async def _create(self, exchange: Exchange, user: User, target: Target) -> None:
        info = target.info
        body = self._body(exchange, info.kind)
        decoding.check_body(info, body, target.namespace, None)
        body, warnings = decoding.decode_strictly(info, body, exchange.first("fieldValidation", "Warn"))
        made = writes.create(
            self.api,
            self._storage(info),
            conversions.stored(info, body),
            namespace=target.namespace,
            user=user.name,
            manager=_manager(exchange),
            dry_run=_dry(exchange),
            warnings=warnings,
        )
        warnings += self._pod_security(info, made)
        await self._object(exchange, info, 201, made, warnings)

    async def _replace(self, exchange: Exchange, user: User, target: Target) -> None:
        info = target.info
        body = self._body(exchange, "Scale" if target.subresource == "scale" else info.kind)
        if target.subresource == "scale":
            await self._rescale(exchange, info, self._stored(target), body.get("spec", {}).get("replicas", 0))
            return
        decoding.check_body(info, body, target.namespace, target.name)
        body, warnings = decoding.decode_strictly(info, body, exchange.first("fieldValidation", "Warn"))
        body["metadata"] = {**(body.get("metadata") or {}), "name": target.name}
        if info.namespaced:
            body["metadata"]["namespace"] = target.namespace
        done = writes.update(
            self.api,
            self._storage(info),
            conversions.stored(info, body),
            subresource=target.subresource or None,
            user=user.name,
            manager=_manager(exchange),
            dry_run=_dry(exchange),
            warnings=warnings,
        )
        await self._object(exchange, info, 200, done, warnings)

    async def _patch(self, exchange: Exchange, user: User, target: Target) -> None:
        info = target.info
        content_type = exchange.headers.get("content-type", "").partition(";")[0].strip()
        if content_type not in PATCH_TYPES:
            raise statuses.unknown_patch_type()
        if info.custom is not None and content_type == STRATEGIC:
            raise statuses.unsupported_media_type([each for each in PATCH_TYPES if each != STRATEGIC])
        if content_type == "application/apply-patch+yaml":
            await self._apply(exchange, user, target)
            return
        old = self._stored(target)
        current = _scale_of(info, old) if target.subresource == "scale" else conversions.served(info, old)
        changed = self._patched(exchange, info, target, copied(current), content_type)
        if target.subresource == "scale":
            await self._rescale(exchange, info, old, int(changed["spec"].get("replicas", 0)))
            return
        decoding.check_body(info, changed, target.namespace, target.name)
        changed, warnings = decoding.decode_strictly(info, changed, exchange.first("fieldValidation", "Warn"))
        done = writes.update(
            self.api,
            self._storage(info),
            conversions.stored(info, changed),
            subresource=target.subresource or None,
            user=user.name,
            manager=_manager(exchange),
            dry_run=_dry(exchange),
            warnings=warnings,
        )
        await self._object(exchange, info, 200, done, warnings)

    async def _rescale(self, exchange: Exchange, info: ResourceInfo, old: Object, replicas: int) -> None:
        obj = copied(old)
        obj["spec"]["replicas"] = replicas
        # A Scale leaves out zero replicas, so that nobody manages them after it.
        disowned = frozenset() if replicas else frozenset({("f:spec", "f:replicas")})
        done = writes.update(
            self.api,
            info,
            obj,
            subresource="scale",
            manager=_manager(exchange),
            dry_run=_dry(exchange),
            disowned=disowned,
        )
        await self._json(exchange, 200, _scale_of(info, done))

    def _patched(
        self, exchange: Exchange, info: ResourceInfo, target: Target, current: Object, content_type: str
    ) -> Object:
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

    async def _apply(self, exchange: Exchange, user: User, target: Target) -> None:
        info = target.info
        manager = exchange.first("fieldManager")
        if not manager:
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
        if self.api.store.get(_stored_name(info), target.namespace, target.name) is None:
            # Who makes something by applying has to be allowed both.
            self._authorize(exchange, user, target, verb="create")
        done, created = applying.apply(
            self.api,
            self._storage(info),
            conversions.stored(info, body),
            namespace=target.namespace,
            name=target.name,
            manager=manager,
            force=exchange.first("force") == "true",
            dry_run=_dry(exchange),
            user=user.name,
            warnings=warnings,
        )
        warnings += self._pod_security(info, done)
        await self._object(exchange, info, 201 if created else 200, done, warnings)

    def _pod_security(self, info: ResourceInfo, obj: Object) -> list[str]:
        namespace = self.api.store.get("namespaces", "", obj["metadata"].get("namespace", ""))
        return pod_security.warnings(namespace, info.name, obj) if namespace else []

    def _options(self, exchange: Exchange) -> Object:
        options = self._body(exchange) if exchange.body.strip() else {}
        for field in ("propagationPolicy", "gracePeriodSeconds"):
            if value := exchange.first(field):
                options[field] = int(value) if value.isdigit() else value
        return dict(options)

    async def _delete(self, exchange: Exchange, user: User, target: Target) -> None:
        info, options = target.info, self._options(exchange)
        obj, gone = deletion.delete(
            self.api,
            info,
            target.namespace,
            target.name,
            options,
            user=user.name,
            dry_run=_dry(exchange) or "All" in str(options.get("dryRun", "")),
        )
        if not gone or info.name in DELETED_SHOWN:
            warnings = [PODS_STAY] if deletion.orphans_by_default(info, options) else []
            await self._object(exchange, info, 200, obj, warnings)
            return
        details: Object = {"name": target.name, **({"group": info.group} if info.group else {})}
        details |= {"kind": info.plural, "uid": obj["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        await self._json(exchange, 200, status)

    async def _delete_collection(self, exchange: Exchange, target: Target) -> None:
        info = target.info
        matches = selectors.labels(exchange.first("labelSelector"))
        matches_fields = selectors.fields(exchange.first("fieldSelector"), info.name)
        options = self._options(exchange)
        found = [
            each
            for each in list(self.api.store.objects(info.name, target.namespace if info.namespaced else None))
            if (matches is None or matches(each["metadata"].get("labels") or {}))
            and (matches_fields is None or matches_fields(each))
        ]
        version = str(self.api.store.version)
        for each in found:
            metadata = each["metadata"]
            deletion.delete(self.api, info, metadata.get("namespace", ""), metadata["name"], options)
        head = {"kind": f"{info.kind}List", "apiVersion": info.api_version, "metadata": {"resourceVersion": version}}
        items = [{k: v for k, v in each.items() if k not in ("kind", "apiVersion")} for each in found]
        await self._json(exchange, 200, {**head, "items": items})


# What the real server says to who deletes a Job without saying what is to become of its pods.
PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


def _stored_name(info: ResourceInfo) -> str:
    """The name under which a resource is stored: events of both groups are the same objects."""
    return "events" if info.plural == "events" else info.name


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


def _manager(exchange: Exchange) -> str:
    """Who writes: as asked, or the first word of the user agent."""
    agent = exchange.headers.get("user-agent", "").partition("/")[0].strip()
    return exchange.first("fieldManager") or agent or "unknown"


def _dry(exchange: Exchange) -> bool:
    return exchange.first("dryRun") == "All"


def _scale_of(info: ResourceInfo, obj: Object) -> Object:
    metadata = {
        key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    spec, status = obj.get("spec", {}), obj.get("status", {})
    shown: Object = {"replicas": status.get("replicas", 0)}
    selector = spec.get("selector")
    if selector:
        wanted = selector.get("matchLabels", selector) or {}
        shown["selector"] = ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    scale: Object = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata}
    return {**scale, "spec": {"replicas": spec.get("replicas", 0)} if spec.get("replicas") else {}, "status": shown}
