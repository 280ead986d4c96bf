"""Rows for tests: Alice (admin) and Bob (viewer) of one team, Charlie of none, and a migration under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from clusters.models import Cluster, ClusterPair, Engine, Health, ObjectStore, PortworxPairing
from migrations_app.models import (
    Migration,
    MigrationEvent,
    MigrationResource,
    MigrationVolume,
    Stage,
    Status,
)
from migrations_app.plans.models import MigrationPlan, PlannedObject, PlanStatus, PlanStep, PlanSuggestion
from migrations_app.resources.spec import Spec
from migrations_app.transformations import services as transformations
from migrations_app.transformations.models import ResourceTransformation
from migrations_app.verifications.models import Verdict, Verification, VolumeVerification
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


def portworx_pair(team: Team, name: str = "px", **fields: Any) -> ClusterPair:
    """A pair of the engine portworx, on which nothing has been done yet."""
    made = pair(team, name, engine=Engine.PORTWORX, **fields)
    PortworxPairing.objects.create(pair=made, object_name="remote")
    return made


def migration(pair: ClusterPair, name: str = "cmsmigration", **fields: Any) -> Migration:
    """A migration that has not begun, unless `fields` say otherwise."""
    return Migration.objects.create(team=pair.team, pair=pair, name=name, **{"namespaces": ["cms"]} | fields)


def transformation(team: Team, name: str = "small-web", **fields: Any) -> ResourceTransformation:
    """Rules that set the replicas of a Deployment to one."""
    source = "- conditions: {kinds: [deployments.apps]}\n  patches: [{op: replace, path: /spec/replicas, value: 1}]\n"
    given = {"source": source, "rules": transformations.read(source)} | fields
    return ResourceTransformation.objects.create(team=team, name=name, **given)


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


def verification(migration: Migration, **fields: Any) -> Verification:
    """A verification of the migration's volumes, by default one that found a difference in the last of them."""
    now = timezone.now()
    given: dict[str, Any] = {
        "status": Verdict.DIFFERENT,
        "reason": "1 of 2 volumes are the same on both sides, every file read anew; cms/px-wp-pvc differs",
        "requested_by": migration.created_by,
        "requested_at": now - timedelta(minutes=4),
        "finished_at": now - timedelta(minutes=2),
        "key": "digest-key-canary",
    }
    made = Verification.objects.create(migration=migration, **given | fields)
    side = {"digest": "cd" * 32, "files": 812, "bytes": 64 * MEBIBYTE, "newest": 1_790_000_000_000_000_000}
    for volume in migration.volumes.all():
        unlike = made.status == Verdict.DIFFERENT and volume.claim == "px-wp-pvc"
        under_way = made.finished_at is None
        status = Verdict.DIFFERENT if unlike else Verdict.IN_PROGRESS if under_way else Verdict.SAME
        newer = {**side, "digest": "ef" * 32, "newest": 1_795_000_000_000_000_000, "used_by": ["wordpress-5c9d"]}
        partly = {"bytes_done": 21 * MEBIBYTE, "bytes_total": 64 * MEBIBYTE}
        VolumeVerification.objects.create(
            verification=made,
            volume=volume,
            status=status,
            source=partly if under_way else side,
            destination=newer if unlike else partly if under_way else side,
            differences=[
                {"path": "wp-content/uploads/2026/11/harbour.jpg", "what": ["only on the destination"], "newer": ""},
                {
                    "path": "wp-content/debug.log",
                    "what": ["size", "content", "mtime"],
                    "newer": "destination",
                    "ranges": [{"offset": 0, "length": 131_072}, {"offset": 1_048_576, "length": 196_608}],
                    "more_ranges": True,
                },
            ]
            if unlike
            else [],
            differing=2 if unlike else None,
        )
    return made


PLANNED = (
    # group, version, kind, resource, name, action, what it needs
    ("", "v1", "ServiceAccount", "serviceaccounts", "cms", "unchanged", ()),
    ("", "v1", "Secret", "secrets", "mysql-pass", "create", ()),
    ("", "v1", "ConfigMap", "configmaps", "mysql-config", "update", ()),
    ("", "v1", "ConfigMap", "configmaps", "wordpress-config", "create", ()),
    ("", "v1", "Service", "services", "wordpress", "conflict", ()),
    ("apps", "v1", "Deployment", "deployments.apps", "mysql", "create", (("", "Secret", "cms", "mysql-pass"),)),
    ("apps", "v1", "Deployment", "deployments.apps", "wordpress", "create", (("", "Secret", "cms", "mysql-pass"),)),
    ("route.openshift.io", "v1", "Route", "routes.route.openshift.io", "wp", "refused", ()),
    ("apps", "v1", "ReplicaSet", "replicasets.apps", "mysql-6d4f", "left-out", ()),
)
PLAN_CHECKS = [
    {
        "code": "storage-class",
        "status": "pass",
        "title": "Storage classes",
        "message": "prod has every class that is needed.",
        "objects": [],
        "why": "",
        "remedy": "",
        "command": "",
    },
    {
        "code": "quota",
        "status": "warning",
        "title": "Quota",
        "message": "The quota of cms leaves room for one more pod.",
        "objects": ["ResourceQuota cms/compute"],
        "why": "A second replica would not start.",
        "remedy": "Raise the quota.",
        "command": "kubectl -n cms edit resourcequota compute",
    },
]


def plan(pair: ClusterPair, objects: int = 0, **fields: Any) -> MigrationPlan:
    """A plan that is ready: the story's objects with one of each action, and as many more as are asked for."""
    given: dict[str, Any] = {
        "spec": Spec(namespaces=("cms",), storage_class_mapping=pair.storage_class_mapping).to_dict(),
        "status": PlanStatus.READY,
        "step": PlanStep.OBJECTS,
        "computed_at": timezone.now(),
        "next_look_at": None,
        "checks": PLAN_CHECKS,
        "claims": [
            {
                "namespace": "cms",
                "name": "px-mysql-pvc",
                "capacity_bytes": 2048 * MEBIBYTE,
                "source_class": "gp3",
                "destination_class": "gp3-csi",
                "access_modes": ["ReadWriteOnce"],
                "volume_mode": "Filesystem",
                "phase": "Bound",
            }
        ],
    }
    made = MigrationPlan.objects.create(team=pair.team, pair=pair, **given | fields)
    rows = []
    for order, (group, version, kind, resource, name, action, needs) in enumerate(PLANNED):
        differs = action in ("update", "conflict")
        rows.append(
            PlannedObject(
                plan=made,
                order=order,
                group=group,
                version=version,
                kind=kind,
                resource=resource,
                source_namespace="cms",
                namespace="cms",
                name=name,
                action=action,
                included=action != "left-out",
                reason={
                    "conflict": "The destination already has a different object of this name.",
                    "refused": "host wp.example.com is taken",
                    "left-out": "is made again by its owner, Deployment mysql",
                }.get(action, ""),
                diff=[{"path": "spec.type", "before": "ClusterIP", "after": "NodePort"}] if differs else [],
                warnings=["spec.host is deprecated"] if action == "refused" else [],
                needs=[[*key, False] for key in needs],
            )
        )
    rows += [
        PlannedObject(
            plan=made,
            order=len(PLANNED) + number,
            version="v1",
            kind=f"Kind{number % 40}",
            group=f"group{number % 40}.example.com",
            resource=f"kind{number % 40}s.group{number % 40}.example.com",
            source_namespace=f"cms-{number % 3}",
            namespace=f"cms-{number % 3}",
            name=f"object-{number:05}",
            action="create",
            needs=[["", "Secret", "cms", "mysql-pass", False]] if number % 5 == 0 else [],
        )
        for number in range(objects)
    ]
    PlannedObject.objects.bulk_create(rows, batch_size=500)
    included = sum(row.included for row in rows)
    MigrationPlan.objects.filter(pk=made.pk).update(objects_total=included, objects_done=included)
    made.refresh_from_db()
    return made


def suggestions(plan_: MigrationPlan) -> list[PlanSuggestion]:
    """The plan renames its namespace now: a variable names a Service there, and so does a value of a Secret."""
    plan_.spec = {**plan_.spec, "namespace_mapping": {"cms": "web"}}
    plan_.save(update_fields=["spec"])
    path = "/spec/template/spec/containers/0/env/0/value"
    about = {"plan": plan_, "source_namespace": "cms"}
    deployment = {"resource": "deployments.apps", "group": "apps", "kind": "Deployment", "name": "wordpress"}
    secret = {"resource": "secrets", "kind": "Secret", "name": "mysql-pass", "path": "/data/url", "by_hand": True}
    texts = {"before": "mysql.cms.svc:3306", "after": "mysql.web.svc:3306"}
    hidden = {"before": "(not shown) It names a Service.", "after": "(not shown) Change it by hand."}
    return [
        PlanSuggestion.objects.create(**about, **deployment, path=path, order=0, **texts),
        PlanSuggestion.objects.create(**about, **secret, order=1, **hidden),
    ]


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
    plan: MigrationPlan

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
        plan=plan(pair_),
    )
