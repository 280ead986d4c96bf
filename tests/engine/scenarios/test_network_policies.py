"""Two namespaces that refer to one another come under other names, and mean one another there."""

from __future__ import annotations

from clusters.kube.errors import NotFound
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, workload
from tests.resources.test_round_trip import NAME, RBAC, three_tiers

WEB, DATABASE = "front", "back"
WEB_THERE, DATABASE_THERE = "front-production", "back-production"
MAPPING = {WEB: WEB_THERE, DATABASE: DATABASE_THERE}
CLAIM = "data-db-0"


def plant(scenario: Scenario) -> None:
    objects = three_tiers(WEB, DATABASE)
    database = next(each for each in objects if each["kind"] == "StatefulSet")
    claim: Object = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "64Mi"}},
    }
    database["spec"] |= {"replicas": 1, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}
    container = database["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    # By a label of people's own, and into a namespace that stays where it is.
    by_team = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
    monitoring = {"namespaceSelector": {"matchLabels": {NAME: "monitoring"}}}
    policy = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [by_team, monitoring]}]}
    scenario.plant(*objects, make("NetworkPolicy", "others", DATABASE, spec=policy))
    scenario.until_running("deployments.apps", "web", WEB, 2)
    scenario.until_running("statefulsets.apps", "db", DATABASE, 1)
    scenario.fill(DATABASE, CLAIM, 5)


def test_policies_rights_and_data_are_those_of_the_new_names(scenario: Scenario) -> None:
    plant(scenario)
    migration = scenario.migrate(WEB, DATABASE, namespace_mapping=MAPPING)

    assert {row.namespace for row in migration.resources.all()} <= {"", *MAPPING.values()}
    policies = {
        each["metadata"]["name"]: each["spec"]
        for namespace in MAPPING.values()
        for each in scenario.prod.list("networkpolicies.networking.k8s.io", namespace)
    }
    (peer,) = policies["from-web"]["ingress"][0]["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {NAME: WEB_THERE}}
    assert peer["podSelector"] == {"matchLabels": {"app": "web"}}
    (peer,) = policies["to-db"]["egress"][0]["to"]
    assert peer["namespaceSelector"]["matchExpressions"] == [
        {"key": NAME, "operator": "In", "values": [DATABASE_THERE]}
    ]
    assert [each["namespaceSelector"]["matchLabels"] for each in policies["others"]["ingress"][0]["from"]] == [
        {"team": "blue"},
        {NAME: "monitoring"},
    ]
    # What the selectors look for is what the namespaces there bear.
    for namespace in MAPPING.values():
        assert scenario.there("namespaces", namespace)["metadata"]["labels"][NAME] == namespace
    for namespace in MAPPING:
        assert not is_there(scenario, namespace)
    binding = scenario.there(f"rolebindings.{RBAC}", "reader", DATABASE_THERE)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "web", "namespace": WEB_THERE}]
    assert scenario.same_files(DATABASE, CLAIM, DATABASE_THERE)
    assert scenario.ready_pods_there(DATABASE_THERE, "app=db") == {"db-0"}
    assert len(scenario.ready_pods_there(WEB_THERE, "app=web")) == 2
    # A text is a person's to change: it says what it said.
    assert scenario.there("configmaps", "settings", WEB_THERE)["data"] == {"DB": f"db.{DATABASE}.svc"}


def test_one_of_two_namespaces_that_is_renamed_is_known_to_the_other(scenario: Scenario) -> None:
    scenario.plant(*[each for each in three_tiers(WEB, DATABASE) if each["kind"] in ("NetworkPolicy", "Role")])
    scenario.plant(workload("Deployment", "api", WEB))
    scenario.migrate(WEB, DATABASE, namespace_mapping={WEB: WEB_THERE}, include_volumes=False)

    kind = "networkpolicies.networking.k8s.io"
    (peer,) = scenario.there(kind, "from-web", DATABASE)["spec"]["ingress"][0]["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {NAME: WEB_THERE}}
    (peer,) = scenario.there(kind, "to-db", WEB_THERE)["spec"]["egress"][0]["to"]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == [DATABASE]


def is_there(scenario: Scenario, namespace: str) -> bool:
    try:
        scenario.there("namespaces", namespace)
    except NotFound:
        return False
    return True
