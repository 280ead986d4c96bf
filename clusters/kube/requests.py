"""One cluster's API: every call has a time limit, raises the family of `errors`, and deals in plain dicts.

Underneath are the official client's configuration and connection pool; its typed models are not used, since what we
carry must arrive as it was, fields that no model knows included, nor its layers above the pool, which cost a third of
the processor time of a request.

Retries happen only where repeating cannot do harm: reads, server-side apply, and deletes by uid, on broken
connections, 429 and 5xx, a few times with growing pauses. Creates and exec are never repeated blindly: only after a
429, with which the server says that it has done nothing.
"""

from __future__ import annotations

import json
import os
import random
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from kubernetes.client import ApiClient, Configuration

from clusters.kube import discovery as discovering
from clusters.kube import errors, stopping
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.kubeconfig import Kubeconfig

FIELD_MANAGER = "kubemotion-web"
ATTEMPTS = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
# No attempt is begun later than this after the first: whoever waits for an answer must get one.
RETRY_SECONDS = 10.0
POOLED_CONNECTIONS = 16
DISCOVERY_SECONDS = 300.0
# The quoted text of one warning: code, agent, text.
WARNING_TEXT = re.compile(r'\b\d{3} \S+ "((?:[^"\\]|\\.)*)"')
AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)


# For whoever asks not for the whole object. A server that cannot leave the rest out answers with all of it.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Applied:
    """What came of a server-side apply: the object, whether it was not there before, and what the server warns of."""

    obj: dict[str, Any]
    created: bool
    warnings: tuple[str, ...] = ()


def tls_context(kubeconfig: Kubeconfig) -> ssl.SSLContext:
    """A context that trusts the kubeconfig's CA (or the system's) and presents its client certificate.

    Raises Invalid where OpenSSL does not take them, such as a key that is too short.
    """
    try:
        return _tls_context(kubeconfig)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise errors.Invalid(f"The certificates in the kubeconfig cannot be used for TLS: {reason}.") from None


def _tls_context(kubeconfig: Kubeconfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=kubeconfig.ca_data)
    # Private CAs of clusters often leave out what RFC 5280 asks of strict ones; client-go does not insist either.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if kubeconfig.client_certificate and kubeconfig.client_key:
        # OpenSSL loads a key pair from files only: a private one, gone before anything is sent.
        with tempfile.TemporaryDirectory(prefix="kubemotion-") as folder:
            pair = Path(folder) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_text(f"{kubeconfig.client_certificate}\n{kubeconfig.client_key}\n")
            context.load_cert_chain(os.fspath(pair))
    return context


def _client(kubeconfig: Kubeconfig, tls: ssl.SSLContext, user_agent: str) -> ApiClient:
    """The official client without what it does by itself: proxies of the environment, retries, certificate files."""
    configuration = Configuration(
        host=kubeconfig.server,
        tls_server_name=kubeconfig.tls_server_name,
        connection_pool_maxsize=POOLED_CONNECTIONS,
        retries=False,
        proxy="",
        no_proxy="",
    )
    client = ApiClient(configuration)
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = tls
    client.rest_client.pool_manager.pool_classes_by_scheme = {"https": stopping.Pool}
    client.user_agent = user_agent
    if kubeconfig.token:
        client.set_default_header("Authorization", f"Bearer {kubeconfig.token}")
    return client


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
        self._client = _client(kubeconfig, self.tls, user_agent)
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
        return self._decoded(self.request(method, path, **options))

    def _decoded(self, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            decoded = json.loads(answer.data)
        except ValueError:
            raise errors.Unavailable(
                f"{self.server} did not answer as a Kubernetes API server does (not JSON). Check the server address."
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
            raise errors.NotFound(f"{self.server} does not serve {resource}.", code=404, reason="NotFound")
        return found

    def resource_of(self, obj: dict[str, Any]) -> Resource:
        """The served resource for an object's apiVersion and kind. Raises NotFound."""
        api_version, kind = obj["apiVersion"], obj["kind"]
        found = self.discovery().by_kind(api_version, kind) or self.discovery(fresh=True).by_kind(api_version, kind)
        if found is None:
            raise errors.NotFound(f"{self.server} does not serve {kind} of {api_version}.", code=404, reason="NotFound")
        return found

    # -- objects

    def get(self, resource: Resource | str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object. Raises NotFound."""
        found = self.resource(resource)
        return self.json(
            "GET", found.path(namespace, name), repeatable=True, what=f"read {found.plural} {_at(namespace, name)}"
        )

    def list(
        self,
        resource: Resource | str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Iterator[dict[str, Any]]:
        """Every object, page by page, each with its apiVersion and kind.

        Where a continue token has run out (410), all is read anew in one piece, which cannot expire; objects that were
        already given are not given again.
        """
        found = self.resource(resource)
        query = _query(limit=page_size, labelSelector=label_selector, fieldSelector=field_selector)
        what = f"list {found.plural}{f' in {namespace}' if namespace else ''}"
        given: set[str] = set()
        following = ""
        while True:
            try:
                page = self.json(
                    "GET",
                    found.path(namespace),
                    query={**query, "continue": following} if following else query,
                    repeatable=True,
                    what=what,
                )
            except errors.Expired:
                if not following:
                    raise
                following = ""
                query.pop("limit", None)
                continue
            for item in page.get("items") or []:
                uid = item["metadata"].get("uid", "")
                if uid and uid in given:
                    continue
                given.add(uid)
                yield {"apiVersion": found.api_version, "kind": found.kind, **item}
            following = page.get("metadata", {}).get("continue") or ""
            if not following:
                return

    def create(
        self, resource: Resource | str, obj: dict[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create the object. Raises AlreadyExists."""
        found = self.resource(resource)
        namespace = namespace or obj["metadata"].get("namespace")
        name = obj["metadata"].get("name", "")
        query = _query(fieldManager=FIELD_MANAGER, dryRun="All" if dry_run else "")
        return self.json(
            "POST", found.path(namespace), query=query, body=obj, what=f"create {found.plural} {_at(namespace, name)}"
        )

    def apply(self, obj: dict[str, Any], *, force: bool = False, dry_run: bool = False) -> dict[str, Any]:
        """The object after `apply_told`."""
        return self.apply_told(obj, force=force, dry_run=dry_run).obj

    def apply_told(
        self, obj: dict[str, Any], *, force: bool = False, dry_run: bool = False, whole: bool = True
    ) -> Applied:
        """Server-side apply under our field manager. Raises Conflict, whose `causes` name the fields and managers.

        With `metadata.uid` only that very object is changed, and nothing is created. Unless `whole`, no more than the
        metadata of what comes of it is asked for.
        """
        found = self.resource_of(obj)
        metadata = obj["metadata"]
        query = _query(fieldManager=FIELD_MANAGER, force="true" if force else "", dryRun="All" if dry_run else "")
        answer = self.request(
            "PATCH",
            found.path(metadata.get("namespace"), metadata["name"]),
            query=query,
            body=obj,
            content_type="application/apply-patch+yaml",
            accept="application/json" if whole else METADATA,
            repeatable=True,
            what=f"apply {found.plural} {_at(metadata.get('namespace'), metadata['name'])}",
        )
        return Applied(self._decoded(answer), answer.status == 201, tuple(_warnings(answer.headers.getlist("Warning"))))

    def replace(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Put the object in the place of the one that is there. Raises Conflict where its resourceVersion is stale."""
        found = self.resource_of(obj)
        metadata = obj["metadata"]
        return self.json(
            "PUT",
            found.path(metadata.get("namespace"), metadata["name"]),
            query=_query(fieldManager=FIELD_MANAGER),
            body=obj,
            what=f"restore {found.plural} {_at(metadata.get('namespace'), metadata['name'])}",
        )

    def patch(
        self,
        resource: Resource | str,
        name: str,
        namespace: str | None,
        body: Any,
        *,
        content_type: str = "application/merge-patch+json",
        subresource: str | None = None,
    ) -> dict[str, Any]:
        """Patch the object or its subresource."""
        found = self.resource(resource)
        return self.json(
            "PATCH",
            found.path(namespace, name, subresource),
            query=_query(fieldManager=FIELD_MANAGER),
            body=body,
            content_type=content_type,
            what=f"patch {found.plural} {_at(namespace, name)}",
        )

    def delete(
        self,
        resource: Resource | str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
    ) -> bool:
        """Delete the object; with `uid` only that very one. False where it is absent or another one has its name."""
        found = self.resource(resource)
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self.request(
                "DELETE",
                found.path(namespace, name),
                body=body,
                repeatable=uid is not None,
                what=f"delete {found.plural} {_at(namespace, name)}",
            )
        except errors.NotFound:
            return False
        except errors.Conflict:
            if uid:
                return False
            raise
        return True

    # -- permissions

    def can_i(
        self, verb: str, resource: str, namespace: str | None = None, *, name: str = "", subresource: str = ""
    ) -> bool:
        """Whether RBAC lets us: a SelfSubjectAccessReview. `resource` as in `deployments.apps`."""
        plural, _dot, group = resource.partition(".")
        attributes = _query(
            verb=verb, resource=plural, group=group, namespace=namespace or "", name=name, subresource=subresource
        )
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.json("POST", path, body=review, repeatable=True, what="review our permissions")
        return bool(answer.get("status", {}).get("allowed"))

    def rules(self, namespace: str) -> Iterable[dict[str, Any]]:
        """What RBAC lets us do in the namespace: the resourceRules of a SelfSubjectRulesReview."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        answer = self.json("POST", path, body=review, repeatable=True, what="review our permissions")
        return answer.get("status", {}).get("resourceRules") or []


def _at(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _warnings(headers: Iterable[str]) -> Iterator[str]:
    """The texts of Warning headers: `299 - "text"`, any number of them in a line (RFC 7234, 5.5)."""
    for header in headers:
        for quoted in WARNING_TEXT.findall(header):
            yield re.sub(r"\\(.)", r"\1", quoted)


def _query(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}
