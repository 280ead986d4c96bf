"""Reading a kubeconfig that somebody pasted: one context, credentials inside, and nothing that runs or reads anything.

An untrusted kubeconfig can run programs (`exec`, `auth-provider`) and read files on whoever uses it, so everything but
inline certificates and tokens is refused with an explanation.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

MOST_BYTES = 256 * 1024

FLATTEN = "kubectl config view --raw --flatten --minify"
_READS_A_FILE = f"It would read a file on this server. Run `{FLATTEN}` and paste that."
_PASSWORD = "Kubernetes no longer accepts passwords. Use a token or a client certificate."
# What is refused, where it stands, and what to do instead.
REFUSED_USER_FIELDS = {
    "exec": (
        "It would run a program on this server. Use a ServiceAccount token instead: "
        "kubectl create token NAME --duration=8760h"
    ),
    "auth-provider": (
        "It would run a login plugin on this server. Use a ServiceAccount token or a client certificate instead."
    ),
    "tokenFile": "It would read a file on this server. Put the token itself into `token`.",
    "client-certificate": _READS_A_FILE,
    "client-key": _READS_A_FILE,
    "username": _PASSWORD,
    "password": _PASSWORD,
    "as": "Impersonation is not supported. Use credentials that have the rights themselves.",
}
REFUSED_CLUSTER_FIELDS = {
    "certificate-authority": _READS_A_FILE,
    "proxy-url": "Connections go straight to the API server. Remove it.",
}


class KubeconfigError(ValueError):
    """The kubeconfig cannot be used. The message says which field, why, and what to do."""


@dataclass(frozen=True)
class Kubeconfig:
    """One context of a kubeconfig. Certificates and keys are PEM text."""

    server: str
    context: str
    user: str
    ca_data: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    client_certificate: str | None = field(default=None, repr=False)
    client_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    namespace: str = "default"


class _NoAliases(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise KubeconfigError("The kubeconfig uses YAML aliases (*name), which are not accepted. Write them out.")
        return super().compose_node(parent, index)


def parse(text: str) -> Kubeconfig:
    """The current context of the kubeconfig. Raises KubeconfigError."""
    context_name, context, cluster, user = _parts(_document(text))
    for fields, section, name in ((REFUSED_CLUSTER_FIELDS, cluster, "cluster"), (REFUSED_USER_FIELDS, user, "user")):
        for refused, why in fields.items():
            if section.get(refused):
                raise KubeconfigError(f"The {name} in the kubeconfig has `{refused}`. {why}")
    if cluster.get("insecure-skip-tls-verify"):
        raise KubeconfigError(
            "The kubeconfig has insecure-skip-tls-verify. Anybody between us and the cluster could then read its "
            "Secrets: give certificate-authority-data instead."
        )
    certificate, key = _pem(user, "client-certificate-data"), _pem(user, "client-key-data")
    token = _token(user)
    if not token and not (certificate and key):
        raise KubeconfigError("The user in the kubeconfig has neither a token nor a client certificate with its key.")
    ca = _pem(cluster, "certificate-authority-data")
    if ca is not None:
        # Without the comments that bundles have between certificates: OpenSSL's binding takes ASCII only.
        found = _certificates(ca, "certificate-authority-data")
        ca = "".join(each.public_bytes(Encoding.PEM).decode() for each in found)
    if certificate and key:
        _require_pair(certificate, key)
    return Kubeconfig(
        server=_server(cluster),
        context=context_name,
        user=str(context.get("user")),
        ca_data=ca,
        tls_server_name=str(cluster.get("tls-server-name") or "") or None,
        client_certificate=certificate if key else None,
        client_key=key if certificate else None,
        token=token,
        namespace=str(context.get("namespace") or "default"),
    )


def minimal(text: str) -> str:
    """A kubeconfig with nothing but the current context, its cluster and its user. Raises KubeconfigError."""
    parse(text)
    name, context, cluster, user = _parts(_document(text))
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": context}],
        "clusters": [{"name": context["cluster"], "cluster": cluster}],
        "users": [{"name": context["user"], "user": user}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _document(text: str) -> dict[str, Any]:
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise KubeconfigError(f"The kubeconfig is larger than {MOST_BYTES // 1024} KiB. Paste one context: {FLATTEN}")
    try:
        document = yaml.load(text, Loader=_NoAliases)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise KubeconfigError(f"The kubeconfig is not valid YAML{where}.") from None
    except KubeconfigError:
        raise
    except Exception:
        # Brackets thousands deep, a date such as 2026-99-99, `!!int ""`: PyYAML fails at them in all kinds of ways.
        raise KubeconfigError("The kubeconfig is not valid YAML.") from None
    if not isinstance(document, dict) or "clusters" not in document or "users" not in document:
        raise KubeconfigError(f"This is not a kubeconfig: it has no clusters and users. Paste the output of: {FLATTEN}")
    return document


Section = dict[str, Any]


def _parts(document: dict[str, Any]) -> tuple[str, Section, Section, Section]:
    """The current context's name, and the sections of the context, its cluster and its user."""
    name, context = _context(document)
    return (
        name,
        context,
        _named(document, "clusters", "cluster", context.get("cluster")),
        _named(document, "users", "user", context.get("user")),
    )


def _server(cluster: Section) -> str:
    server = str(cluster.get("server") or "").rstrip("/")
    try:
        parts = urlsplit(server)
        fine = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    plain = server.isprintable() and " " not in server
    if not fine or parts.username or parts.password or parts.query or parts.fragment or not plain:
        raise KubeconfigError("The server in the kubeconfig must be an https:// address without credentials in it.")
    return "https" + server[len("https") :]


def _token(user: Section) -> str | None:
    token = str(user.get("token") or "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise KubeconfigError("The token in the kubeconfig has spaces or line breaks in it. Paste it as one word.")
    return token or None


def _certificates(pem: str, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise KubeconfigError(f"{name} in the kubeconfig is not a PEM certificate.") from None


def _require_pair(certificate: str, key: str) -> None:
    """Raise where the key cannot be used with the certificate. OpenSSL would ask at the terminal for a passphrase."""
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        raise KubeconfigError("client-key-data in the kubeconfig has a passphrase. Give the key without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KubeconfigError("client-key-data in the kubeconfig is not a PEM private key.") from None
    try:
        public = _certificates(certificate, "client-certificate-data")[0].public_key()
    except UnsupportedAlgorithm:
        public = None
    if public != private.public_key():
        raise KubeconfigError("The client certificate and key in the kubeconfig do not belong together.")


def _context(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    contexts = document.get("contexts") or []
    name = document.get("current-context")
    if not name and isinstance(contexts, list) and len(contexts) == 1 and isinstance(contexts[0], dict):
        name = contexts[0].get("name")
    if not name:
        raise KubeconfigError("The kubeconfig has no current-context. Choose one: kubectl config use-context NAME")
    return str(name), _named(document, "contexts", "context", name)


def _named(document: dict[str, Any], section: str, key: str, name: Any) -> dict[str, Any]:
    rows = document.get(section) or []
    if name is None or isinstance(name, dict | list):
        # Not repeated: whatever stands where a name belongs may hold credentials.
        raise KubeconfigError(f"The kubeconfig's current context has no {key} named in it.")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("name") == name and isinstance(row.get(key), dict):
            return dict(row[key])
    raise KubeconfigError(f"The kubeconfig has no {key} named {name!r}.")


def _pem(section: dict[str, Any], name: str) -> str | None:
    value = section.get(name)
    if not value:
        return None
    try:
        # Like kubectl: base64 may be broken into lines.
        return base64.b64decode("".join(str(value).split()), validate=True).decode()
    except ValueError:
        raise KubeconfigError(f"{name} in the kubeconfig is not valid base64.") from None
