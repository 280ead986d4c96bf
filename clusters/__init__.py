"""Clusters, object stores and pairs: models, checks, services, pages and API. `kube` below speaks to a cluster."""
