"""An application of the test's own on dev, running, and everything of it gone from both clusters afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from clusters.kube.connection import Connection
from demo.trees import differences
from migrations_app.models import Migration, Status
from tests.engine.conftest import Estate, eventually, told
from tests.resources.objects import CLUSTER_SCOPED, Object, make

SITES = ("dev", "prod")


@dataclass
class Scenario:
    """Plants on dev, migrates over the estate's pair, and looks at both sides."""

    estate: Estate
    namespaces: set[str] = field(default_factory=set)
    cluster_scoped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def dev(self) -> Connection:
        return self.estate.on("dev")

    @property
    def prod(self) -> Connection:
        return self.estate.on("prod")

    def plant(self, *objects: Object) -> None:
        """Make the objects on dev, in this order, and their namespaces before."""
        for obj in objects:
            namespace = obj["metadata"].get("namespace")
            if namespace and namespace not in self.namespaces:
                self.namespace(namespace)
            resource = self.dev.resource_of(obj)
            if obj["kind"] in CLUSTER_SCOPED:
                self.cluster_scoped.append((resource.name, obj["metadata"]["name"]))
            self.dev.create(resource, obj)

    def namespace(self, name: str, **labels: str) -> None:
        """Make a namespace with these labels on dev."""
        self.namespaces.add(name)
        self.dev.create("namespaces", make("Namespace", name, metadata={"labels": labels}))

    def migrate(self, *namespaces: str, **choices: Any) -> Migration:
        """Migrate the namespaces to the end; it has to succeed, object by object."""
        self.namespaces |= set(choices.get("namespace_mapping", {}).values())
        migration = self.estate.drive(
            self.estate.start(**{"namespaces": list(namespaces), "name": namespaces[0]} | choices)
        )
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert {row.status for row in migration.resources.all()} == {Status.SUCCESSFUL}, told(migration)
        assert self.estate.stored() == []
        return migration

    def there(self, resource: str, name: str, namespace: str | None = None) -> Object:
        """The object on prod. Raises NotFound."""
        return self.prod.get(resource, name, namespace)

    def names_there(self, resource: str, namespace: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.prod.list(resource, namespace)}

    def until_running(self, resource: str, name: str, namespace: str, replicas: int, *, on: str = "dev") -> None:
        """Wait until so many pods of the workload are ready."""
        connection = self.estate.on(on)
        eventually(
            lambda: (connection.get(resource, name, namespace).get("status") or {}).get("readyReplicas", 0) == replicas
        )

    def until_condition(self, resource: str, name: str, namespace: str | None, wanted: dict[str, str]) -> None:
        """Wait until the object on dev has these conditions."""

        def has() -> bool:
            status = self.dev.get(resource, name, namespace).get("status") or {}
            return wanted.items() <= {each["type"]: each["status"] for each in status.get("conditions", ())}.items()

        eventually(has)

    def ready_pods_there(self, namespace: str, selector: str) -> set[str]:
        return {
            pod["metadata"]["name"]
            for pod in self.prod.list("pods", namespace, label_selector=selector)
            for condition in pod["status"].get("conditions", ())
            if (condition["type"], condition["status"]) == ("Ready", "True")
        }

    def fill(self, namespace: str, claim: str, seed: int) -> None:
        """Put files into the claim on dev that no other seed gives."""
        numbers = random.Random(seed)
        folder = self.estate.dev.volume_path(namespace, claim)
        for number in range(3):
            path = folder / "data" / f"table-{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(numbers.randbytes(100_000 + number))
        (folder / "whose").write_text(f"{namespace}/{claim}\n")

    def same_files(self, namespace: str, claim: str, namespace_there: str = "") -> bool:
        """Whether the claim has on prod what it has on dev, and has something."""
        there = self.estate.prod.volume_path(namespace_there or namespace, claim)
        assert (there / "whose").read_text() == f"{namespace}/{claim}\n"
        return differences(self.estate.dev.volume_path(namespace, claim), there) == []


@pytest.fixture
def scenario(estate: Estate) -> Iterator[Scenario]:
    """A scenario with nothing planted yet."""
    scenario = Scenario(estate)
    yield scenario
    for site in SITES:
        connection = estate.on(site)
        for resource, name in reversed(scenario.cluster_scoped):
            connection.delete(resource, name)
        for name in scenario.namespaces:
            connection.delete("namespaces", name)

    def gone() -> bool:
        left = {each["metadata"]["name"] for site in SITES for each in estate.on(site).list("namespaces")}
        return not left & scenario.namespaces

    eventually(gone)
