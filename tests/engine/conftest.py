"""Two simulated clusters, a store, the story's application with some megabytes, and a pair between them.

Movers are real processes and move real bytes. `Estate.drive` looks at the migration as workers do, one look after the
other, in the test's own thread, so that a test can stop anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from django.utils import timezone

from audit.actor import Actor
from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair, ObjectStore
from demo.cluster.server import ClusterHandle, running_clusters
from demo.estate import plant_running
from demo.s3 import RunningS3, running_s3
from demo.trees import differences
from migrations_app import services
from migrations_app.models import Migration
from migrations_app.reconcile import reconcile
from teams.models import Role, Team
from tests.factories import member

Object = dict[str, Any]
CLAIMS = ("px-mysql-pvc", "px-wp-pvc")
# What tests call the application's namespace on the destination when they map it.
MAPPED = "cms-production"
MEGABYTES = 5


@dataclass
class Estate:
    """Everything that a migration needs, and eyes of our own on both clusters and the bucket."""

    dev: ClusterHandle
    prod: ClusterHandle
    s3: RunningS3
    team: Team
    by: Actor
    pair: ClusterPair
    connections: dict[str, Connection] = field(default_factory=dict)

    def on(self, name: str) -> Connection:
        """A connection of the test's own."""
        if name not in self.connections:
            handle = {"dev": self.dev, "prod": self.prod}[name]
            self.connections[name] = Connection(kubeconfig.parse(yaml.safe_dump(handle.kubeconfig)))
        return self.connections[name]

    def start(self, **fields: Any) -> Migration:
        given = {"namespaces": ["cms"], "name": "cmsmigration"} | fields
        return services.start(self.team, pair=self.pair, by=self.by, **given)

    def drive(
        self,
        migration: Migration,
        *,
        until: Callable[[Migration], bool] = lambda migration: migration.is_finished and migration.cleaned_up,
        seconds: float = 90,
    ) -> Migration:
        """Look whenever a look is due, until the condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            migration = Migration.objects.get(pk=migration.pk)
            if until(migration):
                return migration
            assert time.monotonic() < deadline, f"not reached: {told(migration)}"
            due = migration.next_look_at
            if due is not None and due <= timezone.now() + timedelta(milliseconds=50):
                reconcile(migration.pk)
            else:
                time.sleep(0.05)

    def change(self, row: Any, **fields: Any) -> None:
        """Change a cluster, the store or the pair as somebody may in the settings."""
        for field_name, value in fields.items():
            setattr(row, field_name, value)
        row.save()

    def objects(self, name: str, resource: str, namespace: str = "cms") -> dict[str, Object]:
        return {each["metadata"]["name"]: each for each in self.on(name).list(resource, namespace)}

    def different_files(self) -> list[str]:
        """What differs between the claims' folders of both sides."""
        return [
            f"{claim}: {difference}"
            for claim in CLAIMS
            for difference in differences(self.dev.volume_path("cms", claim), self.prod.volume_path("cms", claim))
        ]

    def leftovers(self) -> list[str]:
        """What of movers is left in the clusters, and of data in the bucket."""
        left = [
            f"{name} {resource} {each}"
            for name in ("dev", "prod")
            for resource in ("jobs.batch", "pods", "secrets")
            for each in self.objects(name, resource)
            if each.startswith("kubemotion-")
        ]
        return left + [f"s3 {key}" for key in self.stored()]

    def stored(self) -> list[str]:
        """The keys in the bucket."""
        pages = self.store().get_paginator("list_objects_v2").paginate(Bucket=self.s3.bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def store(self) -> Any:
        """A client of the store with the full key pair, whatever the product was given."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint,
            region_name=self.s3.region,
            aws_access_key_id=self.s3.keys.access_key_id,
            aws_secret_access_key=self.s3.keys.secret_access_key,
            config=Config(s3={"addressing_style": "path"}),
        )


def told(migration: Migration) -> str:
    """Everything that a failing test wants to know about the migration."""
    lines = [f"{migration.stage}/{migration.status}: {migration.reason}"]
    lines += [f"  volume {each}: {each.status} {each.reason}" for each in migration.volumes.all()]
    lines += [f"  {each}: {each.status} {each.reason}" for each in migration.resources.all()]
    lines += [f"  {each.seq} {each.type} {each.reason}: {each.message}" for each in migration.events.all()]
    return "\n".join(lines)


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mapping[str, ClusterHandle], RunningS3]]:
    """The clusters and the store, which all tests share."""
    state = tmp_path_factory.mktemp("sites")
    with running_s3(state / "s3") as s3, running_clusters(state / "clusters") as clusters:
        for name in ("dev", "prod"):
            plant_running(clusters[name], name, megabytes=MEGABYTES)
        yield clusters, s3


@pytest.fixture
def estate(sites: tuple[Mapping[str, ClusterHandle], RunningS3], transactional_db: None) -> Iterator[Estate]:
    """The estate as at its beginning: whole on dev, nothing of the application on prod."""
    clusters, s3 = sites
    estate = made(clusters["dev"], clusters["prod"], s3)
    yield estate
    for faults in (clusters["dev"].faults, clusters["prod"].faults, s3.faults):
        faults.clear()
    dev, prod = estate.on("dev"), estate.on("prod")
    for namespace in ("cms", MAPPED):
        prod.delete("namespaces", namespace)
    for resource in ("jobs.batch", "secrets"):
        for each in dev.list(resource, "cms", label_selector="kubemotion.io/migration"):
            dev.delete(resource, each["metadata"]["name"], "cms")

    def cleared() -> bool:
        for key in estate.stored():
            estate.store().delete_object(Bucket=s3.bucket, Key=key)
        there = {each["metadata"]["name"] for each in prod.list("namespaces")}
        return not there & {"cms", MAPPED} and not estate.leftovers()

    eventually(cleared)


def eventually(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def made(dev: ClusterHandle, prod: ClusterHandle, s3: RunningS3) -> Estate:
    """The rows of team, clusters, store and pair."""
    team = Team.objects.create(name="Content platform")
    by = Actor(user=member("alice", team, Role.ADMIN), address="192.0.2.7")
    rows = {
        handle.name: Cluster.objects.create(
            team=team, name=handle.name, kubeconfig=yaml.safe_dump(handle.kubeconfig), server=handle.server
        )
        for handle in (dev, prod)
    }
    store = ObjectStore.objects.create(
        team=team,
        name="moves",
        endpoint=s3.endpoint,
        region=s3.region,
        bucket=s3.bucket,
        prefix="kubemotion",
        path_style=True,
        access_key_id=s3.keys.access_key_id,
        secret_access_key=s3.keys.secret_access_key,
    )
    pair = ClusterPair.objects.create(
        team=team,
        name="dev-to-prod",
        source=rows["dev"],
        destination=rows["prod"],
        object_store=store,
        storage_class_mapping={"gp3": "gp3-csi", "efs-rwx": "efs-sc"},
    )
    return Estate(dev, prod, s3, team, by, pair)
