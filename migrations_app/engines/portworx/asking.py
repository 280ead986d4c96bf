"""From our spec to Stork's, and the Migration object on the source cluster: made, found, and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import ClusterPair
from clusters.portworx.migration import MIGRATIONS, MigrationSpec, manifest
from migrations_app.engines import MigrationError
from migrations_app.models import Migration
from migrations_app.resources.marks import MANAGED_BY, MIGRATION_LABEL, migration_of
from migrations_app.resources.spec import Spec
from migrations_app.stork_options import equalities

Object = dict[str, Any]


def stork_spec(pair: ClusterPair, spec: Spec, kind_of: Callable[[str], str] = lambda kind: kind) -> MigrationSpec:
    """What Stork is asked for. `kind_of` gives the Kind that Stork names for a kind as a Selection names it."""
    options = spec.stork_options
    excluded: dict[str, str] = {}
    for each in spec.selection.exclude_selectors:
        excluded |= equalities(each) or {}
    return MigrationSpec(
        cluster_pair=pair.stork_name,
        namespaces=spec.namespaces,
        admin_cluster_pair=options.get("adminClusterPair", ""),
        namespace_selectors=options.get("namespaceSelectors", {}),
        include_resources=spec.include_resources,
        include_volumes=spec.include_volumes,
        start_applications=spec.start_applications,
        purge_deleted_resources=spec.purge_deleted_resources or None,
        skip_service_update=options.get("skipServiceUpdate"),
        include_network_policy_with_cidr=options.get("includeNetworkPolicyWithCIDR"),
        selectors=equalities(spec.selection.label_selector) or {} if spec.selection.label_selector else {},
        exclude_selectors=excluded,
        exclude_resource_types=tuple(kind_of(each) for each in spec.selection.exclude_kinds),
        include_optional_resource_types=tuple(options.get("includeOptionalResourceTypes", ())),
        pre_exec_rule=options.get("preExecRule", ""),
        post_exec_rule=options.get("postExecRule", ""),
        skip_deleted_namespaces=options.get("skipDeletedNamespaces"),
        transform_specs=tuple(options.get("transformSpecs", ())),
        ignore_owner_references_check=options.get("ignoreOwnerReferencesCheck"),
    )


def document(migration: Migration, kind_of: Callable[[str], str] = lambda kind: kind) -> Object:
    """The Migration as it is applied: named like ours, beside the ClusterPair, as Stork demands."""
    return manifest(
        migration.name,
        migration.pair.stork_namespace,
        stork_spec(migration.pair, migration.spec(), kind_of),
        labels={**MANAGED_BY, MIGRATION_LABEL: str(migration.pk)},
    )


def kinds_of(connection: Connection) -> Callable[[str], str]:
    """From `plural.group` to the Kind that the cluster serves under it; what it does not know stays as it is."""

    def kind_of(name: str) -> str:
        plural, _dot, group = name.partition(".")
        found = connection.discovery().find(plural, group)
        return found.kind if found else name

    return kind_of


def made(connection: Connection, migration: Migration) -> Object:
    """The Migration on the source, made now or by a step that died. Raises MigrationError where its name is taken."""
    wanted = document(migration, kinds_of(connection))
    metadata = wanted["metadata"]
    try:
        return connection.create(MIGRATIONS, wanted)
    except errors.AlreadyExists:
        present = connection.get(MIGRATIONS, metadata["name"], metadata["namespace"])
    if migration_of(present) != str(migration.pk):
        raise MigrationError(
            f"The source cluster {migration.pair.source.name} already has a Migration {metadata['namespace']}/"
            f"{metadata['name']} that is not of this migration. Choose another name; to follow that one, import it."
        )
    return present


def found(connection: Connection, migration: Migration) -> Object | None:
    """The very Migration that this row follows, or None where it is not there (any more)."""
    known = migration.stork_object
    name = known.get("name") or migration.name
    namespace = known.get("namespace") or migration.pair.stork_namespace
    try:
        present = connection.get(MIGRATIONS, name, namespace)
    except errors.NotFound:
        return None
    if known.get("uid"):
        return present if present["metadata"]["uid"] == known["uid"] else None
    return present if migration_of(present) == str(migration.pk) else None
