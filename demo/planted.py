"""What the pictures need beside the demo's own application: an object that is in the way, names to suggest, and a
small application without volumes for Stork."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection

Object = dict[str, Any]
GUESTBOOK = "guestbook"


def plant(kubeconfigs: dict[str, str]) -> None:
    """Make it on `dev` and `prod`; `kubeconfigs` are the paths of theirs. Raises KubeError."""
    for name, objects in (("dev", _on_dev()), ("prod", _on_prod())):
        with Connection(kubeconfig.parse(Path(kubeconfigs[name]).read_text())) as connection:
            for obj in objects:
                connection.apply(obj)


def _on_dev() -> list[Object]:
    links = {"api.url": "https://wordpress.cms.svc.cluster.local/wp-json", "feed.url": "http://wordpress.cms/feed"}
    environment = [{"name": "WORDPRESS_URL", "value": "http://wordpress.cms.svc.cluster.local:80"}]
    return [
        _object("v1", "ConfigMap", "links", "cms", data=links),
        _deployment("link-checker", "cms", environment),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GUESTBOOK}},
        _object("v1", "ConfigMap", "guestbook-config", GUESTBOOK, data={"title": "Guests of our house"}),
        _deployment("guestbook", GUESTBOOK, []),
    ]


def _on_prod() -> list[Object]:
    config = {"WORDPRESS_DB_HOST": "mysql.other.example.com", "WORDPRESS_DEBUG": "0"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms-blue"}},
        _object("v1", "ConfigMap", "wordpress-config", "cms-blue", data=config),
    ]


def _object(version: str, kind: str, name: str, namespace: str, **fields: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _deployment(name: str, namespace: str, environment: list[Object]) -> Object:
    labels = {"app": name}
    container = {"name": name, "image": f"registry.example.com/tools/{name}:1.4", "env": environment}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", name, namespace, spec=spec)
