"""Rows for tests: Alice (admin) and Bob (viewer) of one team, Charlie of none, and a migration under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from clusters.models import Cluster, ClusterPair, Health, ObjectStore
from migrations_app.models import (
    Migration,
    MigrationEvent,
    MigrationResource,
    MigrationVolume,
    Stage,
    Status,
)
from teams.models import Membership, Role, Team

PASSWORD = "correct-horse-battery"
STORAGE_CLASSES = {
    "dev": [
        {"name": "gp3", "provisioner": "ebs.csi.aws.com", "default": True},
        {"name": "efs-rwx", "provisioner": "efs.csi.aws.com", "default": False},
    ],
    "prod": [
        {"name": "gp3-csi", "provisioner": "ebs.csi.aws.com", "default": True},
        {"name": "efs-sc", "provisioner": "efs.csi.aws.com", "default": False},
    ],
}
CHECKS = [
    {"code": "reachable", "status": "ok", "message": "The API server answers.", "remedy": ""},
    {
        "code": "permissions",
        "status": "warning",
        "message": "The account may not list nodes.",
        "remedy": "Grant the verb list on nodes to see capacity.",
    },
]
MEBIBYTE = 1024 * 1024


def person(name: str, **fields: Any) -> Any:
    """Somebody who can sign in with PASSWORD."""
    return get_user_model().objects.create_user(name, password=PASSWORD, **fields)


def member(name: str, team: Team, role: str) -> Any:
    """A new person with `role` in `team`."""
    user = person(name)
    Membership.objects.create(team=team, user=user, role=role)
    return user


def cluster(team: Team, name: str = "dev", **fields: Any) -> Cluster:
    given: dict[str, Any] = {
        "kubeconfig": f"kubeconfig of {name} with sesame-token",
        "server": f"https://api.{name}.example.com:6443",
        "version": "v1.36.2",
        "distribution": "OpenShift",
        "storage_classes": STORAGE_CLASSES.get(name, []),
        "health": Health.WARNING if name == "dev" else Health.HEALTHY,
        "checks": CHECKS if name == "dev" else CHECKS[:1],
        "checked_at": timezone.now(),
    }
    return Cluster.objects.create(team=team, name=name, **given | fields)


def object_store(team: Team, name: str = "moves", **fields: Any) -> ObjectStore:
    given: dict[str, Any] = {
        "endpoint": "https://s3.example.com",
        "region": "ap-southeast-1",
        "bucket": "kubemotion-moves",
        "access_key_id": "AKIDSESAME",
        "secret_access_key": "sesame-secret",
        "health": Health.HEALTHY,
        "checks": CHECKS[:1],
        "checked_at": timezone.now(),
    }
    return ObjectStore.objects.create(team=team, name=name, **given | fields)


def pair(team: Team, name: str = "dev-to-prod", **fields: Any) -> ClusterPair:
    given: dict[str, Any] = {
        "storage_class_mapping": {"gp3": "gp3-csi", "efs-rwx": "efs-sc"},
        "health": Health.HEALTHY,
    }
    if "source" not in fields:
        given["source"] = cluster(team, "dev")
    if "destination" not in fields:
        given["destination"] = cluster(team, "prod")
    if "object_store" not in fields:
        given["object_store"] = object_store(team)
    return ClusterPair.objects.create(team=team, name=name, **given | fields)


def migration(pair: ClusterPair, name: str = "cmsmigration", **fields: Any) -> Migration:
    """A migration that has not begun, unless `fields` say otherwise."""
    return Migration.objects.create(team=pair.team, pair=pair, name=name, **{"namespaces": ["cms"]} | fields)


def event(migration: Migration, reason: str, message: str, **fields: Any) -> MigrationEvent:
    """One stored event under the next number, without a push (see `migrations_app.events.emit` for the real way)."""
    migration.last_event_seq += 1
    migration.save(update_fields=["last_event_seq"])
    return MigrationEvent.objects.create(
        migration=migration, seq=migration.last_event_seq, reason=reason, message=message, **fields
    )


def migration_under_way(pair: ClusterPair, name: str = "cmsmigration", **fields: Any) -> Migration:
    """The story's migration in the middle of its volumes."""
    now = timezone.now()
    given: dict[str, Any] = {
        "stage": Stage.VOLUMES,
        "status": Status.IN_PROGRESS,
        "started_at": now - timedelta(seconds=42),
        "stage_times": {
            "Initial": (now - timedelta(seconds=42)).isoformat(),
            "PreExecRule": (now - timedelta(seconds=40)).isoformat(),
            "Volumes": (now - timedelta(seconds=39)).isoformat(),
        },
    }
    made = migration(pair, name, **given | fields)
    for claim, size, pulled, modes in (
        ("px-mysql-pvc", 140 * MEBIBYTE, 61 * MEBIBYTE, ["ReadWriteOnce"]),
        ("px-wp-pvc", 64 * MEBIBYTE, 64 * MEBIBYTE, ["ReadWriteMany"]),
    ):
        done = pulled == size
        MigrationVolume.objects.create(
            migration=made,
            namespace="cms",
            claim=claim,
            volume=f"pvc-{claim}",
            access_modes=modes,
            capacity_bytes=2048 * MEBIBYTE,
            source_class="gp3",
            destination_class="gp3-csi",
            status=Status.SUCCESSFUL if done else Status.IN_PROGRESS,
            bytes_total=size,
            bytes_pushed=size if done else pulled + 10 * MEBIBYTE,
            bytes_pulled=pulled,
            bytes_sent=pulled // 2,
            files_total=812,
            files_pulled=812 if done else 344,
            rate=None if done else 18.5 * MEBIBYTE,
            eta_seconds=None if done else 4.3,
            source_digest="ab" * 32 if done else "",
            destination_digest="ab" * 32 if done else "",
            started_at=now - timedelta(seconds=38),
        )
    for order, (group, version, kind, name_) in enumerate(
        (
            ("", "v1", "Secret", "mysql-pass"),
            ("", "v1", "Service", "wordpress"),
            ("apps", "v1", "Deployment", "mysql"),
            ("route.openshift.io", "v1", "Route", "wp"),
        )
    ):
        MigrationResource.objects.create(
            migration=made,
            order=order,
            group=group,
            version=version,
            kind=kind,
            namespace="cms",
            name=name_,
            status=Status.SUCCESSFUL if order < 2 else Status.PENDING,
            action="created" if order < 2 else "",
        )
    event(made, "Initial", "Stage Initial began")
    event(made, "Volumes", "Stage Volumes began")
    event(made, "VolumeStarted", "Push and pull Jobs started", regarding="PersistentVolumeClaim/cms/px-mysql-pvc")
    for _again in range(2):
        event(made, "Waiting", "The object store throttles", type=MigrationEvent.Type.WARNING)
    return made


@dataclass
class Company:
    """Two teams that must not see each other's things, and everybody in and beside them."""

    team: Team
    other_team: Team
    alice: Any
    olivia: Any
    bob: Any
    charlie: Any
    mallory: Any
    staff: Any
    pair: ClusterPair
    migration: Migration

    @property
    def source(self) -> Cluster:
        return self.pair.source

    @property
    def store(self) -> ObjectStore:
        return self.pair.object_store


def company() -> Company:
    """Alice is admin, Olivia operator, Bob viewer; Mallory is admin of another team; Charlie is in none."""
    team = Team.objects.create(name="Content platform")
    other_team = Team.objects.create(name="Payments")
    pair_ = pair(team)
    return Company(
        team=team,
        other_team=other_team,
        alice=member("alice", team, Role.ADMIN),
        olivia=member("olivia", team, Role.OPERATOR),
        bob=member("bob", team, Role.VIEWER),
        charlie=person("charlie"),
        mallory=member("mallory", other_team, Role.ADMIN),
        staff=person("staff", is_staff=True),
        pair=pair_,
        migration=migration_under_way(pair_),
    )
