"""From a request to an answer: paths, permissions, verbs, representations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster import discovery, openapi, rbac, reviews, statuses
from demo.cluster.api import ClusterAPI, compact
from demo.cluster.authentication import ANONYMOUS, User, of_certificate
from demo.cluster.exchanges import JSON, NO_CACHE, body_of, manager, send
from demo.cluster.http import Exchange
from demo.cluster.registry import NOT_STORED
from demo.cluster.statuses import APIError
from demo.cluster.targets import Target, authorize, target_of
from demo.cluster.verbs import deleting, reading, writing
from demo.cluster.watching import watch

if TYPE_CHECKING:
    from demo.cluster.kubelet import Kubelet

Object = dict[str, Any]
STREAMS = {"log", "exec", "attach", "portforward", "proxy"}
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
        target = target_of(self.api.registry, parts)
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
        authorize(self.api, exchange, user, target)
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

    # -- verbs

    async def _serve(self, exchange: Exchange, user: User, target: Target) -> None:
        info, method = target.info, exchange.method
        if target.subresource == "token" and info.name == "serviceaccounts":
            await send(exchange, 201, reviews.token_request(self.api, target.namespace, target.name, body_of(exchange)))
            return
        if info.plural in NOT_STORED:
            if method != "POST":
                raise statuses.method_not_allowed()
            await send(exchange, 201, reviews.answer(self.api, info, user, body_of(exchange), manager(exchange)))
            return
        match method, bool(target.name):
            case "GET", False:
                if exchange.first("watch") in ("true", "1"):
                    await watch(self.api, exchange, info, target.namespace)
                else:
                    await reading.list_(self.api, exchange, target)
            case "GET", True:
                await reading.get(self.api, exchange, target)
            case "POST", False:
                await writing.create(self.api, exchange, user, target)
            case "PUT", True:
                await writing.replace(self.api, exchange, user, target)
            case "PATCH", True:
                await writing.patch(self.api, exchange, user, target)
            case "DELETE", True:
                await deleting.delete(self.api, exchange, user, target)
            case "DELETE", False:
                await deleting.delete_collection(self.api, exchange, target)
            case _:
                raise statuses.method_not_allowed()
