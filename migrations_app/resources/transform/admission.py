"""What API servers call: webhooks, conversions and aggregated APIs, and whom they trust."""

from __future__ import annotations

from migrations_app.resources.shapes import items, section
from migrations_app.resources.transform.options import Object, Options

# Somebody on the cluster writes the authority by these: it is another one there.
INJECTED_BY = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
    "service.alpha.openshift.io/inject-cabundle",
)
MANAGED_BY_OLM = "olm.managed"


def authorities(obj: Object, options: Options, source: Object) -> None:
    """An authority that is injected stays behind; one that somebody wrote is that of a certificate that goes along."""
    metadata = section(obj, "metadata")
    injected = any(name in section(metadata, "annotations") for name in INJECTED_BY)
    if not injected and MANAGED_BY_OLM not in section(metadata, "labels"):
        return
    clients = [section(each, "clientConfig") for each in items(obj, "webhooks")]
    clients += [section(obj, "spec", "conversion", "webhook", "clientConfig"), section(obj, "spec")]
    for client in clients:
        client.pop("caBundle", None)
