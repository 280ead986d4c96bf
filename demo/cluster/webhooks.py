"""The admission plugins MutatingAdmissionWebhook and ValidatingAdmissionWebhook, in the words of the real ones.

Webhooks are asked over HTTPS with an AdmissionReview of v1, at their url or behind a Service: at an address that its
EndpointSlices name, so that whoever wants to be asked listens on one and writes a slice. Nothing else happens in the
cluster while one is waited for. Events and autoscalers are asked about as if they had come in the version in which
they are stored.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo.cluster import conversions, patches, statuses
from demo.cluster.registry import ResourceInfo
from demo.cluster.webhook_configurations import MUTATING, VALIDATING
from demo.cluster.webhook_matching import GROUP, Request, version_asked

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
SLICES, SERVICE_LABEL = "endpointslices.discovery.k8s.io", "kubernetes.io/service-name"


class _Failed(Exception):
    """The webhook could not be asked, or gave no answer that could be understood."""


def mutated(api: ClusterAPI, request: Request, warnings: list[str]) -> Object | None:
    """The object as the webhooks want it, or None where they leave it as it is. Raises APIError where one refuses.

    Those that want it (`reinvocationPolicy`) are asked once more about what others changed after them.
    """
    first = request.obj
    again: set[str] = set()
    asked_before: set[str] = set()
    for place, webhook in _configured(api, MUTATING, request):
        if (info := version_asked(api, webhook, request)) is None:
            continue
        request, changed = _mutated(api, webhook, info, request, warnings)
        if changed:
            again |= asked_before
            asked_before.clear()
        if webhook.get("reinvocationPolicy") == "IfNeeded":
            asked_before.add(place)
    for place, webhook in _configured(api, MUTATING, request):
        if place in again and (info := version_asked(api, webhook, request)) is not None:
            request, _changed = _mutated(api, webhook, info, request, warnings)
    return None if request.obj is first else request.obj


def _mutated(
    api: ClusterAPI, webhook: Object, info: ResourceInfo, request: Request, warnings: list[str]
) -> tuple[Request, bool]:
    """The request with the object as this webhook wants it, and whether that is another one. Raises APIError."""
    patch = _answer(api, webhook, info, request, warnings).get("patch")
    if not patch:
        return request, False
    try:
        patched = patches.json_patch(_shown(info, request.obj), json.loads(base64.b64decode(patch)))
    except (ValueError, KeyError, TypeError) as error:
        raise _internal(str(error)) from None
    changed = {**conversions.stored(info, patched), "apiVersion": request.info.api_version}
    return (request, False) if changed == request.obj else (request._replace(obj=changed), True)


def validate(api: ClusterAPI, request: Request, warnings: list[str]) -> None:
    """Raises APIError where a webhook refuses."""
    for _place, webhook in _configured(api, VALIDATING, request):
        if (info := version_asked(api, webhook, request)) is not None:
            _answer(api, webhook, info, request, warnings)


def _configured(api: ClusterAPI, resource: str, request: Request) -> Iterator[tuple[str, Object]]:
    """All webhooks, by their places."""
    # Nobody can lock himself out: these are never asked about (plugin/webhook/generic).
    if request.info.group == GROUP:
        return
    for configuration in api.store.objects(resource):
        for index, webhook in enumerate(configuration.get("webhooks") or ()):
            yield f"{configuration['metadata']['name']}/{index}", webhook


def _answer(api: ClusterAPI, webhook: Object, info: ResourceInfo, request: Request, warnings: list[str]) -> Object:
    """What the webhook says to it, where it allows it. Raises APIError."""
    name = webhook["name"]
    if request.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
        raise statuses.bad_request(f'admission webhook "{name}" does not support dry run')
    try:
        response = _called(api, webhook, _review(request, info))
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


def _review(request: Request, info: ResourceInfo) -> Object:
    shown = request._replace(obj=_shown(info, request.obj), old=_shown(info, request.old))
    asked = {"uid": str(uuid.uuid4()), **shown.asked_as(info)}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


def _shown(info: ResourceInfo, obj: Object | None) -> Object | None:
    return None if obj is None else conversions.served(info, obj)


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
