"""From a cluster's row to a connection."""

from __future__ import annotations

from clusters.addresses import AddressRefusedError, require_allowed
from clusters.kube import errors, kubeconfig
from clusters.kube.connection import Connection
from clusters.models import Cluster
from clusters.texts import as_it_is


def connect(cluster: Cluster) -> Connection:
    """A connection to the cluster; close it, or use it as a context manager.

    Raises `errors.Invalid` where the stored kubeconfig or its address cannot be used; nothing is sent before the first
    call.
    """
    try:
        config = kubeconfig.parse(cluster.kubeconfig)
        require_allowed(config.server)
        return Connection(config)
    except (kubeconfig.KubeconfigError, AddressRefusedError) as error:
        raise errors.Invalid(as_it_is(error)) from None
