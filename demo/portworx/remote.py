"""The destination through its own API server, with the kubeconfig that a ClusterPair holds.

Blocking: called from threads beside the loop that serves the clusters.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from demo.cluster.registry import ResourceInfo
from demo.portworx.pace import NETWORK_SECONDS

Object = dict[str, Any]


class RemoteError(Exception):
    """What the destination's API server answered, or why it could not be asked."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class ConfigError(Exception):
    """The kubeconfig cannot be used."""


class Remote:
    """A client of one cluster."""

    def __init__(self, config: Object) -> None:
        try:
            context = config["contexts"][config["current-context"]]
            cluster = config["clusters"][context["cluster"]]
            user = config["users"][context["user"]]
            self.server = str(cluster["server"]).rstrip("/")
        except (KeyError, TypeError):
            raise ConfigError("invalid configuration: no configuration has been provided") from None
        self._headers = {"Accept": "application/json", "User-Agent": "stork/v24.3.2"}
        if user.get("token"):
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._pool = urllib3.PoolManager(
            ssl_context=_tls(cluster, user), retries=False, timeout=NETWORK_SECONDS, maxsize=4
        )

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> Object:
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            if body is None:
                answer = self._pool.request(method, url, headers=self._headers)
            else:
                headers = {**self._headers, "Content-Type": "application/json"}
                answer = self._pool.request(method, url, body=json.dumps(body).encode(), headers=headers)
        except urllib3.exceptions.HTTPError as failure:
            raise RemoteError(f'{method.title()} "{url}": {_as_go_says(self.server, failure)}') from None
        try:
            document: Object = json.loads(answer.data or b"{}")
        except ValueError:
            document = {"message": answer.data.decode(errors="replace")}
        if answer.status >= 400:
            raise RemoteError(document.get("message") or f"the server answered {answer.status}", answer.status)
        return document

    def version(self) -> Object:
        """Ask for the version, the only thing that pairing asks for."""
        return self._request("GET", "/version")

    def get(self, info: ResourceInfo, namespace: str, name: str) -> Object | None:
        """The object; None when there is none."""
        try:
            return self._request("GET", _path(info, namespace, name))
        except RemoteError as refusal:
            if refusal.code == 404:
                return None
            raise

    def list(self, info: ResourceInfo, namespace: str) -> list[Object]:
        """The objects of a namespace."""
        found = self._request("GET", _path(info, namespace))
        return [{"apiVersion": info.api_version, "kind": info.kind, **each} for each in found["items"]]

    def create(self, info: ResourceInfo, namespace: str, obj: Object) -> Object:
        """Make the object."""
        return self._request("POST", _path(info, namespace), body=obj)

    def update(self, info: ResourceInfo, namespace: str, obj: Object) -> Object:
        """Replace the object."""
        return self._request("PUT", _path(info, namespace, obj["metadata"]["name"]), body=obj)

    def delete(self, info: ResourceInfo, namespace: str, name: str) -> None:
        """Delete the object with all that depends on it."""
        try:
            self._request("DELETE", _path(info, namespace, name), body={"propagationPolicy": "Background"})
        except RemoteError as refusal:
            if refusal.code != 404:
                raise


def _path(info: ResourceInfo, namespace: str, name: str = "") -> str:
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    place = f"/namespaces/{quote(namespace)}" if info.namespaced and namespace else ""
    return f"{root}{place}/{info.plural}" + (f"/{quote(name)}" if name else "")


def _tls(cluster: Object, user: Object) -> ssl.SSLContext:
    try:
        authority = base64.b64decode(cluster.get("certificate-authority-data", "")).decode()
        context = ssl.create_default_context(cadata=authority or None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if user.get("client-certificate-data"):
            pem = base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
            with tempfile.NamedTemporaryFile(dir=_memory(), suffix=".pem") as file:
                file.write(pem)
                file.flush()
                context.load_cert_chain(file.name)
    except (ValueError, KeyError, ssl.SSLError) as problem:
        raise ConfigError(f"unable to load the certificates of the configuration: {problem}") from None
    return context


def _memory() -> str | None:
    """A folder that never reaches a disk, where there is one: Python reads keys from files only."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _as_go_says(server: str, failure: Exception) -> str:
    parts = urlsplit(server)
    address = f"{parts.hostname}:{parts.port or 443}"
    text = str(failure)
    if "refused" in text:
        return f"dial tcp {address}: connect: connection refused"
    if "Name or service not known" in text or "getaddrinfo" in text or "resolve" in text:
        return f"dial tcp: lookup {parts.hostname}: no such host"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if "timed out" in text:
        return f"dial tcp {address}: i/o timeout"
    return text


def embedded(kubeconfig: Object, origin: str = "kubeconfig") -> Object:
    """A kubeconfig in the form that `storkctl generate clusterpair` prints: the current context only, maps by name."""
    current = kubeconfig["current-context"]
    context = next(each["context"] for each in kubeconfig["contexts"] if each["name"] == current)
    cluster = next(each["cluster"] for each in kubeconfig["clusters"] if each["name"] == context["cluster"])
    user = next(each["user"] for each in kubeconfig["users"] if each["name"] == context["user"])
    return {
        "clusters": {context["cluster"]: {"LocationOfOrigin": origin, **cluster}},
        "contexts": {current: {"LocationOfOrigin": origin, **context}},
        "current-context": current,
        "preferences": {},
        "users": {context["user"]: {"LocationOfOrigin": origin, **user}},
    }
