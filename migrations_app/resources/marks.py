"""How objects that a migration made are marked on the destination."""

from __future__ import annotations

from typing import Any

MIGRATION_LABEL = "kubemotion.io/migration"
# On Jobs and their pods: the volume that began it. On Secrets: whose they are.
VOLUME_LABEL = "kubemotion.io/volume"
# On snapshots of volumes and the temporary claims made from them.
SNAPSHOT_LABEL = "kubemotion.io/snapshot-of"
MANAGED_BY = {"app.kubernetes.io/managed-by": "kubemotion-web"}
SOURCE_ANNOTATION = "kubemotion.io/migrated-from"
# Stork's annotation (pkg/migration/controllers/migration.go, StorkMigrationReplicasAnnotation).
REPLICAS_ANNOTATION = "stork.libopenstorage.org/migrationReplicas"
# Where a stopped CronJob was suspended before the migration suspended it.
SUSPENDED_ANNOTATION = "kubemotion.io/was-suspended"


def labels_of(obj: dict[str, Any]) -> dict[str, str]:
    return dict((obj.get("metadata") or {}).get("labels") or {})


def annotations_of(obj: dict[str, Any]) -> dict[str, str]:
    return dict((obj.get("metadata") or {}).get("annotations") or {})


def migration_of(obj: dict[str, Any]) -> str:
    """The id of the migration that made the object, or an empty text."""
    return labels_of(obj).get(MIGRATION_LABEL, "")


def type_of(obj: dict[str, Any]) -> tuple[str, str]:
    """Group and kind; the group is empty for the core one."""
    return str(obj.get("apiVersion") or "").rpartition("/")[0], str(obj.get("kind") or "")


def key_of(obj: dict[str, Any]) -> tuple[str, str, str, str]:
    """Group, kind, namespace and name: what makes an object the same one on another cluster."""
    group = obj["apiVersion"].rpartition("/")[0]
    metadata = obj["metadata"]
    return group, obj["kind"], metadata.get("namespace", ""), metadata["name"]


def describe(obj: dict[str, Any]) -> str:
    """`apps/v1, Kind=Deployment cms/mysql`, as Stork's events name objects."""
    group, _slash, version = obj["apiVersion"].rpartition("/")
    metadata = obj["metadata"]
    place = f"{metadata.get('namespace', '')}/{metadata['name']}"
    return f"{group}/{version}, Kind={obj['kind']} {place}"


def named(key: tuple[str, str, str, str]) -> str:
    """`Secret cms/mysql`, from group, kind, namespace and name."""
    _group, kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
