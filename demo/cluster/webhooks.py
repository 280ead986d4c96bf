"""The admission plugins MutatingAdmissionWebhook and ValidatingAdmissionWebhook, in the words of the real ones.

Webhooks are asked over HTTPS with an AdmissionReview of v1, at their url or behind a Service: at an address that its
EndpointSlices name, so that whoever wants to be asked listens on one and writes a slice. Nothing else happens in the
cluster while one is waited for. `matchConditions`, `matchPolicy` and `reinvocationPolicy` are not looked at.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from demo.cluster import authentication, patches, statuses
from demo.cluster.registry import ResourceInfo
from demo.cluster.selectors import matches

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
MUTATING = f"mutatingwebhookconfigurations.{GROUP}"
VALIDATING = f"validatingwebhookconfigurations.{GROUP}"
SLICES, SERVICE_LABEL = "endpointslices.discovery.k8s.io", "kubernetes.io/service-name"
NAME_LABEL = "kubernetes.io/metadata.name"
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class Request(NamedTuple):
    """What a webhook is asked about: `obj` is None for a deletion, `old` for a creation."""

    operation: str
    info: ResourceInfo
    obj: Object | None
    old: Object | None
    user: str
    dry_run: bool
    subresource: str = ""

    @property
    def resource(self) -> str:
        return f"{self.info.plural}/{self.subresource}" if self.subresource else self.info.plural


class _Failed(Exception):
    """The webhook could not be asked, or gave no answer that could be understood."""


def mutated(api: ClusterAPI, request: Request, warnings: list[str]) -> Object | None:
    """The object as the webhooks want it, or None where they leave it as it is. Raises APIError where one refuses."""
    changed = None
    for webhook in _asked(api, MUTATING, request):
        response = _answer(api, webhook, request, warnings)
        if patch := response.get("patch"):
            try:
                changed = patches.json_patch(request.obj, json.loads(base64.b64decode(patch)))
            except (ValueError, KeyError, TypeError) as error:
                raise _internal(str(error)) from None
            request = request._replace(obj=changed)
    return changed


def validate(api: ClusterAPI, request: Request, warnings: list[str]) -> None:
    """Raises APIError where a webhook refuses."""
    for webhook in _asked(api, VALIDATING, request):
        _answer(api, webhook, request, warnings)


def _asked(api: ClusterAPI, resource: str, request: Request) -> Iterator[Object]:
    # Nobody can lock himself out: these are never asked about (plugin/webhook/generic).
    if request.info.group == GROUP:
        return
    for configuration in api.store.objects(resource):
        for webhook in configuration.get("webhooks") or ():
            if any(_covers(rule, request) for rule in webhook.get("rules") or ()) and _selects(api, webhook, request):
                yield webhook


def _covers(rule: Object, request: Request) -> bool:
    def has(name: str, *values: str) -> bool:
        return bool({"*", *values} & set(rule.get(name) or ()))

    scope = "Namespaced" if request.info.namespaced else "Cluster"
    named = set(rule.get("resources") or ())
    every = {"*/*", f"{request.info.plural}/*"} | ({f"*/{request.subresource}"} if request.subresource else {"*"})
    return (
        has("operations", request.operation)
        and has("apiGroups", request.info.group)
        and has("apiVersions", request.info.version)
        and bool(named & {request.resource, *every})
        and rule.get("scope", "*") in ("*", scope)
    )


def _selects(api: ClusterAPI, webhook: Object, request: Request) -> bool:
    objects = [each for each in (request.obj, request.old) if each]
    selector = webhook.get("objectSelector") or {}
    if not any(matches(selector, each["metadata"].get("labels") or {}) for each in objects):
        return False
    selector = webhook.get("namespaceSelector") or {}
    metadata = objects[0]["metadata"]
    if request.info.name == "namespaces":
        labels = {**(metadata.get("labels") or {}), NAME_LABEL: metadata["name"]}
    elif request.info.namespaced:
        namespace = api.store.get("namespaces", "", metadata["namespace"])
        if namespace is None:
            return False
        labels = namespace["metadata"].get("labels") or {}
    else:
        return True
    return matches(selector, labels)


def _answer(api: ClusterAPI, webhook: Object, request: Request, warnings: list[str]) -> Object:
    """What the webhook says to it, where it allows it. Raises APIError."""
    name = webhook["name"]
    if request.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
        raise statuses.bad_request(f'admission webhook "{name}" does not support dry run')
    try:
        response = _called(api, webhook, _review(request))
    except _Failed as failure:
        if webhook.get("failurePolicy") == "Ignore":
            return {}
        raise _internal(f'failed calling webhook "{name}": {failure}') from None
    warnings += response.get("warnings") or ()
    if not response.get("allowed"):
        raise _denial(name, response.get("status") or {})
    return response


def _internal(why: str) -> statuses.APIError:
    return statuses.APIError(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def _denial(name: str, status: Object) -> statuses.APIError:
    """As webhookerrors.ToStatusErr makes it."""
    said = status.get("message") or status.get("reason")
    message = f'admission webhook "{name}" denied the request' + (f": {said}" if said else " without explanation")
    code = status.get("code") or 0
    return statuses.APIError(code if code >= 400 else 400, status.get("reason") or "", message, status.get("details"))


def _review(request: Request) -> Object:
    info = request.info
    kind = {"group": info.group, "version": info.version, "kind": info.kind}
    resource = {"group": info.group, "version": info.version, "resource": info.plural}
    metadata = (request.obj or request.old or {})["metadata"]
    asked: Object = {
        "uid": str(uuid.uuid4()),
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": metadata["name"],
        "operation": request.operation,
        "userInfo": {"username": request.user, "groups": list(authentication.named(request.user).groups)},
        "object": request.obj,
        "oldObject": request.old,
        "dryRun": request.dry_run,
        "options": {"kind": OPTIONS[request.operation], "apiVersion": "meta.k8s.io/v1"},
    }
    if request.subresource:
        asked |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    if info.namespaced:
        asked["namespace"] = metadata["namespace"]
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


# -- the call


def _called(api: ClusterAPI, webhook: Object, review: Object) -> Object:
    """The response of the webhook. Raises _Failed."""
    client, seconds = webhook["clientConfig"], webhook.get("timeoutSeconds") or 10
    service = client.get("service")
    if service:
        port, host = service.get("port") or 443, f"{service['name']}.{service['namespace']}.svc"
        path = service.get("path") or "/"
        url = f"https://{host}:{port}{path}"
    else:
        parts = urlsplit(client["url"])
        host, port, path, url = parts.hostname or "", parts.port or 443, parts.path or "/", client["url"]
    try:
        place = _behind(api, service, port) if service else (host, port)
        authority = base64.b64decode(client.get("caBundle") or "").decode()
        status, body = _posted(place, host, f"{path}?timeout={seconds}s", authority, review, seconds)
    except (OSError, http.client.HTTPException, _Failed) as error:
        why = f'Post "{url}?timeout={seconds}s": {_in_gos_words(error, place if not service else None)}'
        raise _Failed(f"failed to call webhook: {why}") from None
    if status != 200:
        raise _Failed("failed to call webhook: the server rejected our request for an unknown reason")
    try:
        response = json.loads(body)["response"]
        if response["uid"] != review["request"]["uid"]:
            raise _Failed(f'expected response.uid="{review["request"]["uid"]}", got "{response["uid"]}"')
        return dict(response)
    except (ValueError, KeyError, TypeError):
        raise _Failed("received invalid webhook response: it is no AdmissionReview") from None


def _behind(api: ClusterAPI, service: Object, port: int) -> tuple[str, int]:
    """Where the Service's port leads to. Raises _Failed."""
    found = api.store.get("services", service["namespace"], service["name"])
    if found is None:
        raise _Failed(f'service "{service["name"]}" not found')
    wanted = next((each.get("name") for each in found["spec"].get("ports", ()) if each["port"] == port), None)
    for each in api.store.objects(SLICES, service["namespace"]):
        if (each["metadata"].get("labels") or {}).get(SERVICE_LABEL) != service["name"]:
            continue
        leads = next((one["port"] for one in each.get("ports") or () if one.get("name") in (wanted, "", None)), None)
        for endpoint in each.get("endpoints") or ():
            if leads and (endpoint.get("conditions") or {}).get("ready") is not False:
                return endpoint["addresses"][0], leads
    raise _Failed(f'no endpoints available for service "{service["name"]}"')


def _posted(
    place: tuple[str, int], host: str, path: str, authority: str, review: Object, seconds: float
) -> tuple[int, bytes]:
    context = ssl.create_default_context(cadata=authority or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection(host, timeout=seconds, context=context)
    plain = socket.create_connection(place, timeout=seconds)
    try:
        # Connected where the Service leads to, but trusted by the Service's name.
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        body = json.dumps(review).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json", "Accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
        plain.close()


def _in_gos_words(error: Exception, place: tuple[str, int] | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if isinstance(error, TimeoutError):
        return "context deadline exceeded"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp{' {}:{}'.format(*place) if place else ''}: connect: connection refused"
    return str(error) or "EOF"
