"""The story, look by look: real bytes, real objects, real events."""

from __future__ import annotations

from migrations_app.models import Status
from tests.engine.conftest import CLAIMS, Estate, told

OBJECTS = {
    "serviceaccounts": {"cms"},
    "roles.rbac.authorization.k8s.io": {"cms-config-reader"},
    "rolebindings.rbac.authorization.k8s.io": {"cms-config-reader"},
    "secrets": {"mysql-root", "wordpress-salts"},
    "configmaps": {"mysql-config", "wordpress-config"},
    "services": {"mysql", "wordpress"},
    "deployments.apps": {"mysql", "wordpress"},
    "routes.route.openshift.io": {"wp"},
    "horizontalpodautoscalers.autoscaling": {"wordpress"},
    "networkpolicies.networking.k8s.io": {"mysql-from-wordpress"},
    "poddisruptionbudgets.policy": {"wordpress"},
    "cronjobs.batch": {"mysql-backup"},
    "persistentvolumeclaims": set(CLAIMS),
}


def test_the_application_arrives_with_its_data_and_runs(estate: Estate) -> None:
    before = {name: estate.objects("dev", name) for name in OBJECTS}
    migration = estate.drive(estate.start())

    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert estate.different_files() == []
    for resource, names in OBJECTS.items():
        assert names <= estate.objects("prod", resource).keys(), resource
        assert estate.objects("dev", resource).keys() == before[resource].keys(), resource
    for name, deployment in estate.objects("prod", "deployments.apps").items():
        assert deployment["status"].get("availableReplicas") == 1, name
    for volume in migration.volumes.all():
        assert volume.status == Status.SUCCESSFUL
        assert volume.source_digest == volume.destination_digest != ""
        assert volume.bytes_pulled == volume.bytes_pushed == volume.bytes_total != 0
        assert volume.percent == 100
    assert {row.status for row in migration.resources.all()} == {Status.SUCCESSFUL}
    assert list(migration.events.values_list("seq", flat=True)) == list(range(1, migration.last_event_seq + 1))
    assert [*migration.stage_times] == ["Initial", "Volumes", "Applications", "Final"]
    assert estate.leftovers() == []
    assert migration.data_key == ""


def test_events_are_in_storks_words(estate: Estate) -> None:
    migration = estate.drive(estate.start())
    said = {event.message for event in migration.events.all()}
    for volume in migration.volumes.all():
        assert f"Volume {volume.volume} migrated successfully" in said
    assert "apps/v1, Kind=Deployment cms/mysql: Resource migrated successfully" in said
    assert "/v1, Kind=Service cms/wordpress: Resource migrated successfully" in said


def test_stopped_applications_arrive_with_zero_replicas(estate: Estate) -> None:
    migration = estate.drive(estate.start(start_applications=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    for deployment in estate.objects("prod", "deployments.apps").values():
        assert deployment["spec"]["replicas"] == 0
        assert deployment["metadata"]["annotations"]["stork.libopenstorage.org/migrationReplicas"] == "1"
    assert estate.objects("dev", "deployments.apps")["mysql"]["spec"]["replicas"] == 1


def test_volumes_alone_bring_their_claims_and_no_objects(estate: Estate) -> None:
    migration = estate.drive(estate.start(include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert estate.different_files() == []
    assert estate.objects("prod", "deployments.apps") == {}
    kinds = {row.kind for row in migration.resources.all()}
    assert kinds == {"PersistentVolumeClaim", "PersistentVolume"}


def test_objects_alone_bring_empty_claims(estate: Estate) -> None:
    migration = estate.drive(estate.start(include_volumes=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert not migration.volumes.exists()
    assert estate.objects("prod", "persistentvolumeclaims").keys() == set(CLAIMS)
    assert estate.stored() == []
