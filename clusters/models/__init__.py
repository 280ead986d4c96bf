"""Cluster, ObjectStore and ClusterPair: what a migration goes from, to and through. Django looks for them here."""

from __future__ import annotations

from clusters.models.checked import Checked, Health
from clusters.models.cluster import Cluster
from clusters.models.object_store import ObjectStore, Provider
from clusters.models.pair import ClusterPair, Engine
from clusters.models.pairing import EndpointKind, PairingJob, PairMode, PortworxPairing

__all__ = [
    "Checked",
    "Cluster",
    "ClusterPair",
    "EndpointKind",
    "Engine",
    "Health",
    "ObjectStore",
    "PairMode",
    "PairingJob",
    "PortworxPairing",
    "Provider",
]
