"""The definitions that Stork registers: like the real ones they check nothing and have neither a status of their own
nor printer columns."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
GROUP, VERSION = "stork.libopenstorage.org", "v1alpha1"
OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# Kind, plural, whether it lives in namespaces, short names.
KINDS = (
    ("Action", "actions", True, ()),
    ("ApplicationBackup", "applicationbackups", True, ()),
    ("ApplicationBackupSchedule", "applicationbackupschedules", True, ()),
    ("ApplicationClone", "applicationclones", True, ()),
    ("ApplicationRegistration", "applicationregistrations", False, ("appreg",)),
    ("ApplicationRestore", "applicationrestores", True, ()),
    ("BackupLocation", "backuplocations", True, ()),
    ("ClusterDomainUpdate", "clusterdomainupdates", False, ("cdu",)),
    ("ClusterDomainsStatus", "clusterdomainsstatuses", False, ("cds",)),
    ("ClusterPair", "clusterpairs", True, ()),
    ("Migration", "migrations", True, ()),
    ("MigrationSchedule", "migrationschedules", True, ()),
    ("NamespacedSchedulePolicy", "namespacedschedulepolicies", True, ()),
    ("PlatformCredential", "platformcredentials", True, ()),
    ("ResourceTransformation", "resourcetransformations", True, ()),
    ("Rule", "rules", True, ()),
    ("SchedulePolicy", "schedulepolicies", False, ()),
)
SCHEDULE_POLICIES = {
    "default-migration-policy": {"interval": {"intervalMinutes": 30}},
    "default-interval-policy": {"interval": {"intervalMinutes": 15, "retain": 10}},
    "default-daily-policy": {"daily": {"time": "12:00am", "retain": 7}},
    "default-weekly-policy": {"weekly": {"day": "Sunday", "time": "12:00am", "retain": 4}},
    "default-monthly-policy": {"monthly": {"date": 15, "time": "12:00am", "retain": 12}},
}


def definitions() -> list[Object]:
    """All of Stork's definitions, and the one of its data mover."""
    return [
        *(_definition(GROUP, VERSION, *each) for each in KINDS),
        _definition("kdmp.portworx.com", "v1alpha1", "DataExport", "dataexports", True, ()),
    ]


def schedule_policies() -> list[Object]:
    """The policies that Stork makes at its start."""
    head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "SchedulePolicy"}
    return [{**head, "metadata": {"name": name}, "policy": each} for name, each in SCHEDULE_POLICIES.items()]


def resource(plural: str) -> str:
    """What the simulated cluster calls one of Stork's resources."""
    return f"{plural}.{GROUP}"


def _definition(group: str, version: str, kind: str, plural: str, namespaced: bool, short: tuple[str, ...]) -> Object:
    names: Object = {"kind": kind, "plural": plural, "singular": kind.lower()}
    if short:
        names["shortNames"] = list(short)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": names,
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": OPEN}}],
        },
    }
