"""An admission webhook that a test answers for: over HTTPS, at an address of its own or behind a Service."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.cluster import certificates
from tests.resources.objects import Object, make

# From the request of a review to what of the response is not said by itself.
Answer = Callable[[Object], Object]


@dataclass
class Webhook:
    """Listens; `asked` has the requests of all reviews that came."""

    answer: Answer
    authority: str
    port: int = 0
    asked: list[Object] = field(default_factory=list)

    def configuration(self, kind: str, name: str, *, service: Object | None = None, **fields: Any) -> Object:
        """A configuration with this webhook, asked when ConfigMaps are made unless `rules` says otherwise."""
        client: Object = {"caBundle": base64.b64encode(self.authority.encode()).decode()}
        client |= {"service": service} if service else {"url": f"https://127.0.0.1:{self.port}/review"}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
        webhook = {
            "name": f"{name}.example.com",
            "clientConfig": client,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "rules": [rule],
            **fields,
        }
        return make(f"{kind}WebhookConfiguration", name, webhooks=[webhook])


def refusing(message: str, code: int = 403) -> Answer:
    return lambda request: {"allowed": False, "status": {"message": message, "code": code}}


def patching(*operations: Object, **more: Any) -> Answer:
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": patch, **more}


@contextmanager
def listening(folder: Path, answer: Answer, *hosts: str) -> Iterator[Webhook]:
    """A webhook whose certificate is for 127.0.0.1 and these hosts; the folder is for its key."""
    authority = certificates.authority("webhook-ca")
    certificates.kept(folder, "ca", authority)
    certificates.kept(folder, "server", certificates.issued(authority, "webhook", hosts=("127.0.0.1", *hosts)))
    webhook = Webhook(answer, authority.certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            webhook.asked.append(request)
            response = {"uid": request["uid"], "allowed": True, **webhook.answer(request)}
            body = json.dumps({**review, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = certificates.server_context(folder).wrap_socket(server.socket, server_side=True)
    webhook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
