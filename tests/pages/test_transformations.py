"""Pages of transformations: what forms take and refuse, and what rules do to an object of a real cluster's API."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client

from audit.actor import Actor
from audit.models import Entry
from clusters.models import Cluster
from demo.cluster.server import ClusterHandle, running_clusters
from migrations_app.transformations import services
from migrations_app.transformations.models import ResourceTransformation
from teams.refusals import Refusal
from tests import factories
from tests.api.conftest import as_user
from tests.factories import Company
from tests.resources.objects import make, workload

CANARY = "canary-77c1"
VELERO = """
version: v1
resourceModifierRules:
- conditions: {groupResource: deployments.apps, resourceNameRegex: "^web$"}
  patches: [{operation: replace, path: /spec/replicas, value: "1"}]
"""
LABEL = "- {conditions: {kinds: [secrets]}, patches: [{op: add, path: /metadata/annotations/seen, value: 'yes'}]}"


@pytest.fixture
def olivia(company: Company, client: Client) -> Client:
    """A browser in which Olivia, operator of the team, is signed in."""
    client.force_login(company.olivia)
    return client


def test_rules_of_velero_are_added_and_shown(company: Company, olivia: Client) -> None:
    given = {"team": company.team.pk, "name": "small-web", "description": "Fewer", "source": VELERO}
    page = olivia.post("/transformations/add/", given, follow=True).content.decode()
    assert "small-web is added." in page
    assert "groupResource" in page
    made = ResourceTransformation.objects.get()
    assert made.rules == [
        {
            "conditions": {"kinds": ["deployments.apps"], "nameRegex": "^web$"},
            "patches": [{"op": "replace", "path": "/spec/replicas", "value": 1}],
        }
    ]
    assert Entry.objects.get(action="transformation.add").after["source"] == VELERO
    assert "small-web" in olivia.get("/transformations/").content.decode()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "a: ["}, "The text cannot be read in line 1"),
        ({"source": "[{patches: [{op: set, path: /a}]}]"}, "Rule 1: Patch 1: There is no operation"),
        ({"source": ""}, "This field is required."),
        ({"name": "Small Web"}, "Use at most 63 lower-case letters"),
        ({"name": "taken"}, "The team already has a transformation named taken."),
    ],
)
def test_what_cannot_be_taken_is_refused_at_its_field_and_what_was_typed_stays(
    company: Company, olivia: Client, given: dict[str, str], message: str
) -> None:
    factories.transformation(company.team, "taken")
    sent = {"team": company.team.pk, "name": "mine", "description": "Typed", "source": LABEL, **given}
    response = olivia.post("/transformations/add/", sent)
    assert response.status_code == 422
    page = response.content.decode()
    assert message in page
    assert "Typed" in page
    assert ResourceTransformation.objects.count() == 1


def test_a_transformation_is_changed_and_removed_and_the_history_knows(company: Company, olivia: Client) -> None:
    row = factories.transformation(company.team)
    olivia.post(f"/transformations/{row.pk}/edit/", {"name": "renamed", "description": "", "source": LABEL})
    row.refresh_from_db()
    assert (row.name, row.rules[0]["conditions"]) == ("renamed", {"kinds": ["secrets"]})
    assert set(Entry.objects.get(action="transformation.change").after) == {"name", "source"}
    page = olivia.post(f"/transformations/{row.pk}/remove/", follow=True).content.decode()
    assert "renamed is removed." in page
    assert "No transformations" in page
    assert Entry.objects.filter(action="transformation.remove").exists()


def test_a_migration_keeps_a_copy_by_name_or_id_in_the_order_asked_for(company: Company) -> None:
    first, second = (factories.transformation(company.team, name) for name in ("b", "a"))
    found = services.snapshot(company.team, ["a", first.pk, "a"])
    assert [each["name"] for each in found] == ["a", "b"]
    assert found[0]["rules"] == second.rules
    other = factories.transformation(factories.Team.objects.create(name="Others"), "theirs")
    for unknown in ("theirs", other.pk, "nothing"):
        with pytest.raises(Refusal, match="has no transformation") as refused:
            services.snapshot(company.team, ["a", unknown])
        assert "transformations" in refused.value.errors


def test_rules_come_as_json_or_as_text_and_not_both(company: Company) -> None:
    by, rules = Actor(user=company.alice), [{"mergePatches": [{"spec": {"a": 1}}]}]
    made = services.add(company.team, name="json", rules=rules, by=by)
    assert made.rules == rules
    assert yaml.safe_load(made.source) == rules
    with pytest.raises(Refusal, match="not both"):
        services.add(company.team, name="both", rules=rules, source=LABEL, by=by)


# -- the preview


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        handle = clusters["dev"]
        password = base64.b64encode(CANARY.encode()).decode()
        annotation = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"stringData": "{CANARY}"}}'}
        for resource, obj in (
            ("namespaces", make("Namespace", "shop")),
            ("deployments.apps", workload("Deployment", "web", spec={"replicas": 3})),
            ("secrets", make("Secret", "mysql", metadata={"annotations": annotation}, data={"password": password})),
        ):
            handle.call(lambda api, given=(resource, obj): api.create(*given))
        yield handle


@pytest.fixture
def cluster(company: Company, served: ClusterHandle, settings: Any) -> Cluster:
    settings.ALLOW_LOOPBACK = True
    Cluster.objects.filter(pk=company.source.pk).update(kubeconfig="")
    company.source.kubeconfig = yaml.safe_dump(served.kubeconfig)
    company.source.save()
    return company.source


def tried(client: Client, cluster: Cluster, source: str = VELERO, **picked: str) -> str:
    given = {"cluster": str(cluster.pk), "source": source, **picked}
    response = client.post("/transformations/preview/", given)
    assert response.status_code == 200
    return response.content.decode()


def test_an_object_is_picked_step_by_step(cluster: Cluster, olivia: Client) -> None:
    page = tried(olivia, cluster)
    assert "shop" in page
    assert "deployments.apps" in page
    assert "Choose an object" not in page
    page = tried(olivia, cluster, namespace="shop", resource="deployments.apps")
    assert "<option>web</option>" in page
    page = tried(olivia, cluster, namespace="shop", resource="cronjobs.batch")
    assert "There are no cronjobs.batch in shop." in page


def test_what_the_rules_change_is_shown_line_by_line(cluster: Cluster, olivia: Client) -> None:
    page = tried(olivia, cluster, namespace="shop", resource="deployments.apps", object="web")
    assert "About this object: rule 1" in page
    assert "<del class=''>-  replicas: 3</del>" in page
    assert "<ins class=''>+  replicas: 1</ins>" in page
    assert "uid" not in page
    page = tried(olivia, cluster, LABEL, namespace="shop", resource="deployments.apps", object="web")
    assert "No rule is about this object." in page


def test_what_is_wrong_with_the_rules_is_said_instead(cluster: Cluster, olivia: Client) -> None:
    picked = {"namespace": "shop", "resource": "deployments.apps", "object": "web"}
    assert "There is no rule in the text." in tried(olivia, cluster, "", **picked)
    source = "- {patches: [{op: replace, path: /spec/nothing, value: 1}]}"
    page = tried(olivia, cluster, source, **picked)
    assert "Rule 1, apps/v1, Kind=Deployment shop/web: replace /spec/nothing: there is nothing at this path." in page


@pytest.mark.parametrize(
    "source",
    [
        LABEL,
        "- {patches: [{op: copy, from: /data/password, path: /metadata/annotations/x}]}",
        "- {patches: [{op: copy, from: /data/password, path: /data/other}]}",
        "- {patches: [{op: test, path: /data/password, value: x}, {op: remove, path: /data}]}",
        "- {patches: [{op: replace, path: /data/password/x, value: 1}]}",
        "- {conditions: {matches: [{path: /data/password}]}, mergePatches: [{type: x}]}",
    ],
)
def test_the_values_of_a_secret_are_not_shown_whatever_the_rules_do(
    cluster: Cluster, olivia: Client, source: str
) -> None:
    picked = {"namespace": "shop", "resource": "secrets", "object": "mysql"}
    page = tried(olivia, cluster, source, **picked)
    assert CANARY not in page
    assert base64.b64encode(CANARY.encode()).decode() not in page
    assert "mysql" in page


def test_a_cluster_that_does_not_answer_is_said(company: Company, olivia: Client, settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True
    page = tried(olivia, company.source)
    assert "pf-m-danger" in page


def test_the_api_answers_with_both_and_the_difference(cluster: Cluster, company: Company) -> None:
    given = {"cluster": str(cluster.pk), "source": VELERO, "resource": "deployments.apps", "namespace": "shop"}
    answer = as_user(company.olivia).call("POST", "/transformations/preview/", {**given, "name": "web"}).json()
    assert "replicas: 3" in answer["before"]
    assert "replicas: 1" in answer["after"]
    assert "+  replicas: 1" in answer["diff"]
    assert answer["matching"] == ["rule 1"]
    missing = as_user(company.olivia).call("POST", "/transformations/preview/", {**given, "name": "api"})
    assert missing.status_code == 400
    assert "api" in missing.json()["detail"]


def test_the_api_adds_rules_as_json_and_refuses_them_by_name(company: Company) -> None:
    caller = as_user(company.olivia)
    body = {"name": "a", "rules": [{"conditions": {"kinds": ["secrets"]}, "patches": [{"op": "remove", "path": "/x"}]}]}
    made = caller.call("POST", "/transformations/", body)
    assert made.status_code == 201, made.content
    assert made.json()["rules"] == body["rules"]
    wrong = caller.call("PATCH", f"/transformations/{made.json()['id']}/", {"rules": [{"patches": [{"op": "x"}]}]})
    assert wrong.status_code == 400
    assert "There is no operation 'x'" in str(wrong.json())
