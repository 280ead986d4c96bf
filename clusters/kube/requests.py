"""One cluster's API: every call has a time limit, raises the family of `errors`, and deals in plain dicts.

Retries happen only where repeating cannot do harm: reads, server-side apply, and deletes by uid, on broken
connections, 429 and 5xx, a few times with growing pauses. Creates and exec are never repeated blindly: only after a
429, with which the server says that it has done nothing.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3

from clusters.kube import discovery as discovering
from clusters.kube import errors, stopping
from clusters.kube.client import client_for, tls_context
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.kubeconfig import Kubeconfig
from clusters.texts import said

ATTEMPTS = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
# No attempt is begun later than this after the first: whoever waits for an answer must get one.
RETRY_SECONDS = 10.0
DISCOVERY_SECONDS = 300.0
AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
_compact = json.JSONEncoder(separators=(",", ":")).encode


class ApiConnection:
    """One cluster, for any number of threads. Close it, or use it as a context manager."""

    def __init__(
        self, kubeconfig: Kubeconfig, *, timeout: tuple[float, float] = (5, 30), user_agent: str = "kubemotion-web"
    ) -> None:
        self.server = kubeconfig.server
        self.kubeconfig = kubeconfig
        # Seconds to connect, and between two reads.
        self.timeout = timeout
        self.tls = tls_context(kubeconfig)
        self._client = client_for(kubeconfig, self.tls, user_agent)
        self._pool = self._client.rest_client.pool_manager.connection_from_url(kubeconfig.server)
        self._base = urlsplit(kubeconfig.server).path.rstrip("/")
        self._discovery: tuple[float, Discovery] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.server}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries: who we are, and the credentials."""
        return dict(self._client.default_headers)

    # -- requests

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        repeatable: bool = False,
        what: str = "",
        stream: bool = False,
        timeout: tuple[float, float] | None = None,
        stop: threading.Event | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One call, repeated where `repeatable`. Raises KubeError; `what` says for people what was attempted.

        The answer's body has been read, unless `stream`: then it is the caller's to read, and to close. Once `stop` is
        set, the connection breaks within a moment and nothing is repeated.
        """
        target = self._base + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = {**self.headers, "Accept": accept}
        sent: bytes | None = None
        if body is not None:
            headers["Content-Type"] = content_type
            sent = _compact(body).encode()
        if stop is not None:
            # A connection that may be shut down at any time must not go back to the pool.
            headers["Connection"] = "close"
        what = what or f"{method} {path}"
        began, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            try:
                with stopping.ended_by(stop):
                    return self._once(method, target, sent, headers, stream, timeout or self.timeout, what)
            except (*errors.RETRIABLE, errors.WebhookFailed) as error:
                late = time.monotonic() - began > RETRY_SECONDS
                # A server that is too busy has not begun with it.
                harmless = repeatable or isinstance(error, errors.Throttled)
                if not harmless or attempt >= ATTEMPTS or late or (stop is not None and stop.is_set()):
                    raise
                if error.retry_after is not None:
                    pause = min(error.retry_after, LONGEST_PAUSE) * random.uniform(1, 1.2)
                else:
                    pause = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
                (stop or threading.Event()).wait(pause)

    def _once(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        stream: bool,
        timeout: tuple[float, float],
        what: str,
    ) -> urllib3.BaseHTTPResponse:
        connecting, reading = timeout
        try:
            response: urllib3.BaseHTTPResponse = self._pool.urlopen(
                method,
                target,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=connecting, read=reading),
                retries=False,
                # Our credentials are for this server only.
                redirect=False,
                preload_content=False,
            )
            if response.status >= 300:
                raise errors.from_response(response.status, response.data, what, response.headers.get("Retry-After"))
            if not stream:
                # Read now, and kept by the response.
                _ = response.data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise errors.from_exception(error, self.server) from None
        return response

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The decoded answer of `request`."""
        return self.decoded(self.request(method, path, **options))

    def decoded(self, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        """The object that was answered. Raises Unavailable for what is no JSON."""
        try:
            decoded = json.loads(answer.data)
        except ValueError:
            raise errors.Unavailable(
                said(
                    "{server} did not answer as a Kubernetes API server does (not JSON). Check the server address.",
                    server=self.server,
                )
            ) from None
        return decoded if isinstance(decoded, dict) else {}

    # -- discovery

    def version(self) -> dict[str, Any]:
        """The server's version document, such as {"major": "1", "minor": "33", "gitVersion": "v1.33.2", …}."""
        return self.json("GET", "/version", repeatable=True, what="ask for the version")

    def discovery(self, *, fresh: bool = False) -> Discovery:
        """What the cluster serves; kept for some minutes unless `fresh`."""
        with self._lock:
            kept = self._discovery
        if kept and not fresh and time.monotonic() - kept[0] < DISCOVERY_SECONDS:
            return kept[1]
        found = self._discover()
        with self._lock:
            self._discovery = (time.monotonic(), found)
        return found

    def _discover(self) -> Discovery:
        documents = [
            self.json("GET", path, accept=f"{AGGREGATED},application/json", repeatable=True, what="list what is served")
            for path in ("/api", "/apis")
        ]
        if all(document.get("kind") == "APIGroupDiscoveryList" for document in documents):
            return discovering.from_aggregated(*documents)
        found = discovering.from_resource_list("", "v1", self.json("GET", "/api/v1", repeatable=True))
        silent = []
        for group in documents[1].get("groups") or []:
            preferred = group.get("preferredVersion", {}).get("version")
            for version in sorted(group["versions"], key=lambda each: each["version"] != preferred):
                try:
                    listed = self.json("GET", f"/apis/{version['groupVersion']}", repeatable=True)
                except (errors.Unavailable, errors.NotFound):
                    # An aggregated API whose server is down must not hide all others.
                    silent.append(version["groupVersion"])
                    continue
                found += discovering.from_resource_list(group["name"], version["version"], listed)
        return Discovery(found, silent)

    def resource(self, resource: Resource | str) -> Resource:
        """The served resource of that name. Raises NotFound."""
        if isinstance(resource, Resource):
            return resource
        found = self.discovery().find(resource) or self.discovery(fresh=True).find(resource)
        if found is None:
            raise errors.NotFound(
                said("{server} does not serve {resource}.", server=self.server, resource=resource),
                code=404,
                reason="NotFound",
            )
        return found

    def resource_of(self, obj: dict[str, Any]) -> Resource:
        """The served resource for an object's apiVersion and kind. Raises NotFound."""
        api_version, kind = obj["apiVersion"], obj["kind"]
        found = self.discovery().by_kind(api_version, kind) or self.discovery(fresh=True).by_kind(api_version, kind)
        if found is None:
            raise errors.NotFound(
                said(
                    "{server} does not serve {kind} of {api_version}.",
                    server=self.server,
                    kind=kind,
                    api_version=api_version,
                ),
                code=404,
                reason="NotFound",
            )
        return found
