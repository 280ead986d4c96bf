"""Laboratories of failure: two simulated clusters over HTTPS, and one thing at a time that stands in the way.

A lab makes an application on `dev`, and whatever spoils it on either side, asks for the plan as a page does, and reads
what the person would read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair, ObjectStore
from demo.cluster.server import ClusterHandle, running_clusters
from demo.estate.sites import SITES, cluster_objects
from migrations_app import services
from teams.models import Team
from tests.kube.conftest import until
from tests.resources.objects import CLUSTER_SCOPED, make

Object = dict[str, Any]
_numbers = itertools.count(1)
CLASSES = {"gp3": "gp3-csi", "efs-rwx": "efs-sc", "gp3-retain": "io2-retain"}
# How a command may begin that a person is given.
TOOLS = ("kubectl --context ", "oc --context ", "docker ", "skopeo ")


@dataclass
class Lab:
    """A namespace on dev, eyes and hands on both clusters, and a pair between them."""

    dev: Connection
    prod: Connection
    pair: ClusterPair
    namespace: str
    made: list[tuple[Connection, Object]] = field(default_factory=list)

    def _create(self, connection: Connection, obj: Object) -> Object:
        done = connection.create(connection.resource_of(obj), obj)
        if not done["metadata"].get("namespace"):
            self.made.append((connection, done))
        return done

    def on_dev(self, kind: str, name: str, **fields: Any) -> Object:
        """Make an object of the application, or of the cluster around it."""
        return self._create(self.dev, self._object(kind, name, fields))

    def on_prod(self, kind: str, name: str, **fields: Any) -> Object:
        """Make an object on the destination, in the namespace of the same name unless it says another."""
        return self._create(self.prod, self._object(kind, name, fields))

    def _object(self, kind: str, name: str, fields: Object) -> Object:
        fields = dict(fields)
        if "apiVersion" not in fields:
            fields["apiVersion"] = VERSIONS.get(kind, "v1")
        obj = make(kind, name, fields.pop("namespace", self.namespace), **fields)
        if kind in OUTSIDE or kind in CLUSTER_SCOPED:
            obj["metadata"].pop("namespace", None)
        return obj

    def there(self, **metadata: Any) -> None:
        """Make the namespace on the destination beforehand."""
        self.on_prod("Namespace", self.namespace, metadata=metadata)

    def deployment(self, name: str = "web", *, replicas: int = 1, **spec: Any) -> Object:
        """A workload whose pods have one container, and what is said of them."""
        container = {"name": "app", "image": "registry.example.com/shop/web:1", **spec.pop("container", {})}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **spec}}
        return self.on_dev(
            "Deployment",
            name,
            spec={"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
        )

    def claim(self, name: str = "data", *, size: str = "1Gi", bound: bool = True, **spec: Any) -> Object:
        """A claim on dev, with its volume."""
        fields = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gp3-retain",
            "resources": {"requests": {"storage": size}},
            **spec,
        }
        made = self.on_dev("PersistentVolumeClaim", name, spec=fields)
        if bound:
            until(lambda: self._phase(name) == "Bound")
        return made

    def _phase(self, name: str) -> str:
        return str(self.dev.get("persistentvolumeclaims", name, self.namespace)["status"].get("phase"))

    def pod(self, name: str, claim: str, *, read_only: bool = False, **metadata: Any) -> None:
        """A pod on dev that runs and has the claim."""
        mount = {"name": "data", "mountPath": "/data", **({"readOnly": True} if read_only else {})}
        container = {"name": "app", "image": "registry.example.com/shop/web:1", "volumeMounts": [mount]}
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
        self.on_dev("Pod", name, metadata=metadata, spec={"containers": [container], "volumes": [volume]})
        self.dev.patch("pods", name, self.namespace, {"status": {"phase": "Running"}}, subresource="status")

    # -- what a person reads

    def checks(self, **choices: Any) -> list[Object]:
        return services.plan(self.pair, [self.namespace], **choices).checks

    def of(self, code: str, **choices: Any) -> list[Object]:
        """The results with this code."""
        return [each for each in self.checks(**choices) if each["code"] == code]

    def failure(self, code: str, *words: str, **choices: Any) -> Object:
        """The one failure with this code, which has to say these words and what to do."""
        return self._read(code, "failure", words, choices)

    def warning(self, code: str, *words: str, **choices: Any) -> Object:
        return self._read(code, "warning", words, choices)

    def passes(self, code: str, *words: str, **choices: Any) -> Object:
        """The code's result, which is a pass."""
        found = self.of(code, **choices)
        assert {each["status"] for each in found} == {"pass"}, found
        said = " ".join(each["message"] for each in found)
        for word in words:
            assert word in said, said
        return found[0]

    def silent(self, code: str, **choices: Any) -> None:
        assert self.of(code, **choices) == []

    def _read(self, code: str, status: str, words: tuple[str, ...], choices: Object) -> Object:
        found = [each for each in self.of(code, **choices) if each["status"] == status]
        assert len(found) == 1, (found, self.checks(**choices))
        check: Object = found[0]
        text = "\n".join([check["message"], check["why"], check["remedy"], check["command"], *check["objects"]])
        for word in words:
            assert word in text, text
        # Whoever reads it knows what it is about, what would happen, and what to do.
        assert check["title"]
        assert check["message"].endswith("."), check["message"]
        assert check["why"].endswith("."), check
        assert check["remedy"] or "rename or delete it" in check["message"], check
        assert check["objects"] or code in ("collection", "api-versions"), check
        assert not check["command"] or check["command"].startswith(TOOLS), check["command"]
        return check


VERSIONS = {
    "Ingress": "networking.k8s.io/v1",
    "IngressClass": "networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "CSIStorageCapacity": "storage.k8s.io/v1",
    "CSINode": "storage.k8s.io/v1",
    "CSIDriver": "storage.k8s.io/v1",
    "StorageClass": "storage.k8s.io/v1",
    "RuntimeClass": "node.k8s.io/v1",
    "SecurityContextConstraints": "security.openshift.io/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
    **{kind: make(kind, "x")["apiVersion"] for kind in CLUSTER_SCOPED},
    **{
        kind: make(kind, "x")["apiVersion"]
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Route", "Role", "RoleBinding")
    },
    "EndpointSlice": "discovery.k8s.io/v1",
}
OUTSIDE = {
    "IngressClass",
    "CSINode",
    "CSIDriver",
    "StorageClass",
    "RuntimeClass",
    "SecurityContextConstraints",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "PersistentVolume",
    "Node",
}


@pytest.fixture(scope="package")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, ClusterHandle]]:
    """Two clusters with nodes, drivers and classes, on which no pod runs: what is asked is known before any does."""
    with running_clusters(tmp_path_factory.mktemp("labs"), nodes=False) as clusters:
        for name, handle in clusters.items():
            for resource, obj in cluster_objects(SITES[name]):
                handle.call(lambda api, resource=resource, obj=obj: api.create(resource, obj))
                if resource == "nodes":
                    handle.call(lambda api, obj=obj: api.update("nodes", _with_status(api, obj), subresource="status"))
        yield clusters


def _with_status(api: Any, node: Object) -> Object:
    return {**api.get("nodes", None, node["metadata"]["name"]), "status": node["status"]}


@pytest.fixture(scope="package")
def connections(sites: Mapping[str, ClusterHandle]) -> Iterator[dict[str, Connection]]:
    found = {name: Connection(kubeconfig.parse(yaml.safe_dump(handle.kubeconfig))) for name, handle in sites.items()}
    yield found
    for connection in found.values():
        connection.close()


@pytest.fixture
def lab(sites: Mapping[str, ClusterHandle], connections: dict[str, Connection], db: None) -> Iterator[Lab]:
    """A lab with an empty namespace on dev; what it made outside of namespaces goes with it."""
    team = Team.objects.create(name="Laboratory")
    rows = {
        name: Cluster.objects.create(
            team=team, name=name, kubeconfig=yaml.safe_dump(handle.kubeconfig), server=handle.server
        )
        for name, handle in sites.items()
    }
    store = ObjectStore.objects.create(
        team=team, name="store", endpoint="http://127.0.0.1:9", bucket="b", access_key_id="a", secret_access_key="s"
    )
    pair = ClusterPair.objects.create(
        team=team,
        name="dev-to-prod",
        source=rows["dev"],
        destination=rows["prod"],
        object_store=store,
        storage_class_mapping=CLASSES,
    )
    found = Lab(connections["dev"], connections["prod"], pair, f"shop-{next(_numbers)}")
    found.on_dev("Namespace", found.namespace)
    # Kubernetes and OpenShift fill a namespace in a moment.
    until(
        lambda: "default" in {each["metadata"]["name"] for each in found.dev.list("serviceaccounts", found.namespace)}
    )
    yield found
    for connection, obj in reversed(found.made):
        connection.delete(connection.resource_of(obj), obj["metadata"]["name"])
