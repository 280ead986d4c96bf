"""Applications that come stopped, as Stork does it: what there was stands in an annotation."""

from __future__ import annotations

from migrations_app.resources.marks import REPLICAS_ANNOTATION, SUSPENDED_ANNOTATION, type_of
from migrations_app.resources.registrations import Suspensions
from migrations_app.resources.shapes import section
from migrations_app.resources.transform.options import Object

STOPPED = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("apps.openshift.io", "DeploymentConfig"),
}
# Stork's built-in ApplicationRegistrations: where operators' own kinds are stopped, and what says so there.
SUSPENDED: dict[tuple[str, str], tuple[str, int | bool | str]] = {
    ("ibp.com", "IBPCA"): ("spec.replicas", 0),
    ("ibp.com", "IBPConsole"): ("spec.replicas", 0),
    ("ibp.com", "IBPOrderer"): ("spec.replicas", 0),
    ("ibp.com", "IBPPeer"): ("spec.replicas", 0),
    ("couchbase.com", "CouchbaseCluster"): ("spec.paused", True),
    ("cassandra.datastax.com", "CassandraDatacenter"): ("spec.stopped", True),
    ("weblogic.oracle", "Domain"): ("spec.serverStartPolicy", "NEVER"),
    ("rabbitmq.com", "RabbitmqCluster"): ("spec.replicas", 0),
    ("pxc.percona.com", "PerconaXtraDBCluster"): ("spec.pause", True),
    ("monitoring.coreos.com", "Prometheus"): ("spec.replicas", 0),
    ("kafka.strimzi.io", "Kafka"): ("spec.kafka.replicas", 0),
    ("acid.zalan.do", "postgresql"): ("spec.numberOfInstances", 0),
    ("mongodbcommunity.mongodb.com", "MongoDBCommunity"): ("spec.members", 0),
    ("kubevirt.io", "VirtualMachine"): ("spec.runStrategy", "Halted"),
}
PREFIX = "stork.libopenstorage.org/"


def stop(obj: Object, registered: Suspensions) -> None:
    """Zero replicas, the count in an annotation; CronJobs suspended; operators' kinds as registered or as in Stork."""
    annotations, spec = section(obj, "metadata", "annotations"), obj.get("spec")
    if not isinstance(spec, dict):
        return
    if type_of(obj) in STOPPED:
        replicas = spec.get("replicas")
        if replicas is None:
            replicas = 1
        if replicas or REPLICAS_ANNOTATION not in annotations:
            annotations[REPLICAS_ANNOTATION] = str(replicas)
        spec["replicas"] = 0
    elif type_of(obj) == ("batch", "CronJob"):
        # An earlier migration's note counts only as long as the CronJob is still suspended.
        if not spec.get("suspend"):
            annotations[SUSPENDED_ANNOTATION] = "false"
        annotations.setdefault(SUSPENDED_ANNOTATION, "true")
        spec["suspend"] = True
    elif told := registered.get(type_of(obj)):
        for each in told:
            _suspend(obj, *each)
    elif found := SUSPENDED.get(type_of(obj)):
        _suspend(obj, *found)


def _suspend(obj: Object, path: str, stopped: int | bool | str) -> None:
    """The note is Stork's, so that `storkctl activate` starts it: `<what it was>,<what stopped it>`."""
    *names, last = path.split(".")
    place, annotations = section(obj, *names), section(obj, "metadata", "annotations")
    if not place:
        return
    current = place.get(last)
    if current == stopped and PREFIX + path in annotations:
        return
    if isinstance(current, dict | list):
        return
    annotations[PREFIX + path] = (
        f"{_shown(current)},{'' if isinstance(stopped, int) and not isinstance(stopped, bool) else _shown(stopped)}"
    )
    place[last] = stopped


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
