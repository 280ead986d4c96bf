"""TLS and the connection pool below one cluster's API.

They are the official client's; its typed models are not used, since what we carry must arrive as it was, fields that
no model knows included, nor its layers above the pool, which cost a third of the processor time of a request.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from kubernetes.client import ApiClient, Configuration

from clusters.kube import errors, stopping
from clusters.kube.kubeconfig import Kubeconfig
from clusters.texts import said

POOLED_CONNECTIONS = 16


def tls_context(kubeconfig: Kubeconfig) -> ssl.SSLContext:
    """A context that trusts the kubeconfig's CA (or the system's) and presents its client certificate.

    Raises Invalid where OpenSSL does not take them, such as a key that is too short.
    """
    try:
        return _tls_context(kubeconfig)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise errors.Invalid(
            said("The certificates in the kubeconfig cannot be used for TLS: {reason}.", reason=reason)
        ) from None


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


def client_for(kubeconfig: Kubeconfig, tls: ssl.SSLContext, user_agent: str) -> ApiClient:
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
