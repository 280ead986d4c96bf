"""A database of two replicas: each pod finds its own claim's data under the name that its peers know it by."""

from __future__ import annotations

from demo.estate.cms import MYSQL_IMAGE
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import make, workload

DATABASE = "database"
CLAIMS = ("data-mysql-0", "data-mysql-1")


def plant(scenario: Scenario) -> None:
    password = {"secretKeyRef": {"name": "root", "key": "password"}}
    container = {
        "name": "mysql",
        "image": MYSQL_IMAGE,
        "env": [{"name": "MYSQL_ROOT_PASSWORD", "valueFrom": password}],
        "ports": [{"containerPort": 3306, "name": "mysql"}],
        "readinessProbe": {"exec": {"command": ["mysqladmin", "ping"]}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}],
    }
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "64Mi"}},
    }
    stateful_set = workload("StatefulSet", "mysql", DATABASE, spec={"replicas": 2})
    stateful_set["spec"]["template"]["spec"] = {"containers": [container]}
    stateful_set["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    ports = [{"name": "mysql", "port": 3306}]
    scenario.plant(
        make("Secret", "root", DATABASE, data={"password": "bWFkZS11cA=="}),
        make("Service", "mysql", DATABASE, spec={"clusterIP": "None", "selector": {"app": "mysql"}, "ports": ports}),
        stateful_set,
    )
    scenario.until_running("statefulsets.apps", "mysql", DATABASE, 2)
    for seed, name in enumerate(CLAIMS):
        scenario.fill(DATABASE, name, seed)


def test_each_replica_comes_up_with_its_own_data(scenario: Scenario) -> None:
    plant(scenario)
    migration = scenario.migrate(DATABASE)

    assert {volume.claim for volume in migration.volumes.all()} == set(CLAIMS)
    for name in CLAIMS:
        assert scenario.same_files(DATABASE, name)
        claim = scenario.there("persistentvolumeclaims", name, DATABASE)
        assert claim["status"]["phase"] == "Bound"
        assert claim["spec"]["storageClassName"] == "gp3-csi"
    found = scenario.there("statefulsets.apps", "mysql", DATABASE)
    # Otherwise a third replica would ask for a class that is not there.
    assert found["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "gp3-csi"
    assert found["spec"]["serviceName"] == "mysql"
    assert found["status"]["readyReplicas"] == 2
    assert scenario.ready_pods_there(DATABASE, "app=mysql") == {"mysql-0", "mysql-1"}
    for pod in scenario.prod.list("pods", DATABASE, label_selector="app=mysql"):
        claims = [
            each["persistentVolumeClaim"]["claimName"]
            for each in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in each
        ]
        assert claims == [f"data-{pod['metadata']['name']}"]
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (pod["metadata"]["name"], "mysql")
    assert scenario.there("services", "mysql", DATABASE)["spec"]["clusterIP"] == "None"


def test_a_database_that_comes_stopped_has_its_data_and_no_pods(scenario: Scenario) -> None:
    plant(scenario)
    scenario.migrate(DATABASE, start_applications=False)

    assert all(scenario.same_files(DATABASE, name) for name in CLAIMS)
    found = scenario.there("statefulsets.apps", "mysql", DATABASE)
    assert found["spec"]["replicas"] == 0
    assert found["metadata"]["annotations"]["stork.libopenstorage.org/migrationReplicas"] == "2"
    assert scenario.names_there("pods", DATABASE) == set()
    assert scenario.dev.get("statefulsets.apps", "mysql", DATABASE)["status"]["readyReplicas"] == 2
