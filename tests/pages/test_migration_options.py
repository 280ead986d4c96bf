"""The options of a migration as the form gives them: each arrives in the spec, and what is wrong stands at its field.

Both doors of the form are asked, a migration and a plan: they take the same.
"""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from clusters import cluster_services
from migrations_app.models import Migration
from migrations_app.plans.models import MigrationPlan
from migrations_app.resources.spec import Selection, Spec
from tests import factories

RULES = [{"conditions": {"kinds": ["Deployment.apps"]}, "mergePatches": [{"spec": {"replicas": 1}}]}]


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_services, "namespaces_of", lambda cluster: ["cms", "shop"])


def given(pair: Any, **fields: Any) -> dict[str, Any]:
    return {
        "pair": pair.pk,
        "namespaces": ["cms"],
        "include_volumes": "on",
        "include_resources": "on",
        "start_applications": "on",
        "skipDeletedNamespaces": "on",
        "class:gp3": "gp3-csi",
        "class:efs-rwx": "efs-sc",
        "name": "asked",
        "action": "start",
    } | fields


def asked(client: Client, pair: Any, **fields: Any) -> Spec:
    """What a migration and a plan were asked for; both the same."""
    for action in ("start", "plan-objects"):
        response = client.post("/migrations/new/", given(pair, **fields, action=action))
        assert response.status_code == 302, re.findall(
            r"helper-text__item pf-m-error.*?</div>", response.content.decode()
        )
    planned = MigrationPlan.objects.get(name="asked").asked()
    assert Migration.objects.get(name="asked").spec() == planned
    return planned


def refused(client: Client, pair: Any, **fields: Any) -> str:
    response = client.post("/migrations/new/", given(pair, **fields))
    assert response.status_code == 422
    assert not Migration.objects.filter(name="asked").exists()
    return response.content.decode()


def said_at(page: str, field: str) -> str:
    """The errors that stand at a field."""
    found = re.search(rf'id="id_{re.escape(field)}_error"[^>]*>(.*?)</div>', page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""


def typed(page: str, field: str) -> str:
    """What stands in a field of text."""
    area = re.search(rf'<textarea name="{re.escape(field)}"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    line = re.search(rf'<input[^>]*name="{re.escape(field)}"[^>]*>', page)
    value = re.search(r'value="([^"]*)"', line[0]) if line else None
    found = area or value
    return html.unescape(found[1]) if found else ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"conflict_policy": "take-over"}, {"conflict_policy": "take-over"}),
        ({"conflict_policy": "skip"}, {"conflict_policy": "skip"}),
        ({"purge_deleted_resources": "on"}, {"purge_deleted_resources": True}),
        ({"start_applications": ""}, {"start_applications": False}),
        ({"include_volumes": ""}, {"include_volumes": False}),
        ({"include_resources": ""}, {"include_resources": False}),
        ({"namespace_mapping": "cms = cms-blue"}, {"namespace_mapping": {"cms": "cms-blue"}}),
        (
            {"image_mapping": "registry.dev.example.com = registry.example.com\nquay.io/cms=quay.io/prod\n"},
            {"image_mapping": {"registry.dev.example.com": "registry.example.com", "quay.io/cms": "quay.io/prod"}},
        ),
        ({"host_mapping": "apps.dev.example.com = apps.example.com"},) * 2,
        (
            {"access_mode:ReadWriteOnce": "ReadWriteOncePod"},
            {"access_mode_mapping": {"ReadWriteOnce": "ReadWriteOncePod"}},
        ),
        ({"class:gp3": "efs-sc"}, {"storage_class_mapping": {"gp3": "efs-sc", "efs-rwx": "efs-sc"}}),
    ],
)
def test_what_is_chosen_arrives(company: factories.Company, alice: Client, fields: Any, expected: Any) -> None:
    if fields is expected:
        expected = {"host_mapping": {"apps.dev.example.com": "apps.example.com"}}
    spec = asked(alice, company.pair, **fields).to_dict()
    assert {name: spec[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"label_selector": "app=web,tier in (a, b),!canary"}, {"label_selector": "app=web,tier in (a, b),!canary"}),
        ({"exclude_selectors": "app=cache\n tier = db \n"}, {"exclude_selectors": ("app=cache", "tier = db")}),
        ({"include_kinds": "deployments.apps\nservices"}, {"include_kinds": ("deployments.apps", "services")}),
        ({"exclude_kinds": "secrets\n*.example.com"}, {"exclude_kinds": ("secrets", "*.example.com")}),
        ({"include_objects": "secrets/cms/mysql"}, {"include_objects": ("secrets/cms/mysql",)}),
        ({"exclude_objects": "secrets/cms/mysql"}, {"exclude_objects": ("secrets/cms/mysql",)}),
        ({"include_owned": "on"}, {"include_owned": True}),
    ],
)
def test_what_is_selected_arrives(company: factories.Company, alice: Client, fields: Any, expected: Any) -> None:
    assert asked(alice, company.pair, **fields).selection == Selection(**expected)


def test_transformations_arrive_as_they_are_now(company: factories.Company, alice: Client) -> None:
    made = factories.transformation(company.team, "small-web")
    spec = asked(alice, company.pair, transformations=["small-web"])
    assert spec.transformations == ({"name": "small-web", "rules": made.rules},)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "No Name", "lower-case letters"),
        ("namespace_mapping", "cms", "is not of the form FROM = TO"),
        ("namespace_mapping", "cms = a\ncms = b", "cms is mapped twice"),
        ("namespace_mapping", "cms = No", "No is not a namespace's name"),
        ("namespace_mapping", "cms = kube-system", "belongs to the cluster itself"),
        ("namespace_mapping", "other = a", "is not among the namespaces"),
        ("image_mapping", "a b = c", "is not the beginning of an image's name"),
        ("host_mapping", "apps.example.com = UPPER", "is not the end of a host's name"),
        ("label_selector", "app in a", "values do not stand in parentheses"),
        ("exclude_selectors", "app=web\n=x", "is no name of a label"),
        ("include_kinds", "Deployment", "is no kind"),
        ("exclude_kinds", "services\nNot A Kind", "is no kind"),
        ("include_objects", "mysql", "names no object"),
        ("exclude_objects", "secrets/mysql", "names no object"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_stays_there(
    company: factories.Company, alice: Client, field: str, value: str, said: str
) -> None:
    page = refused(
        alice, company.pair, **{field: value, "host_mapping" if field != "host_mapping" else "q": "a.b = c.d"}
    )
    assert said in said_at(page, field)
    assert typed(page, field) == value
    if field != "host_mapping":
        assert typed(page, "host_mapping") == "a.b = c.d"
    if field != "name":
        before = page[: page.index(f'name="{field}"')]
        assert before.rindex("<details open>") > before.rindex("</details>"), "its section is open"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conflict_policy", "delete"),
        ("access_mode:ReadWriteOnce", "Sometimes"),
        ("transformations", "nobody-has-it"),
        ("namespaces", "elsewhere"),
    ],
)
def test_what_is_not_offered_is_not_taken(company: factories.Company, alice: Client, field: str, value: str) -> None:
    page = refused(alice, company.pair, **{field: value})
    assert "is not one of the available choices" in page


def test_rules_of_its_own_are_carried_along_when_a_plan_is_changed(company: factories.Company, alice: Client) -> None:
    factories.transformation(company.team, "small-web")
    own = {"name": "Suggested names of Services", "rules": RULES}
    spec = company.plan.asked().to_dict() | {
        "transformations": [{"name": "small-web", "rules": RULES}, own],
        "access_mode_mapping": {"ReadWriteOnce": "ReadWriteMany"},
    }
    MigrationPlan.objects.filter(pk=company.plan.pk).update(spec=spec)
    page = alice.get(f"/migrations/new/?like={company.plan.pk}").content.decode()
    boxes = re.findall(r'<input type="checkbox" name="transformations" value="([^"]*)"[^>]*? checked', page)
    assert "Suggested names of Services (1 rule)" in page
    assert boxes[0] == "small-web"
    assert re.search(r'value="ReadWriteMany" selected', page)
    spec_ = asked(alice, company.pair, transformations=[html.unescape(each) for each in boxes])
    assert [each["name"] for each in spec_.transformations] == ["small-web", own["name"]]
    assert spec_.transformations[1] == own


def test_rules_that_cannot_be_read_are_refused_at_their_field(company: factories.Company, alice: Client) -> None:
    page = refused(alice, company.pair, transformations=['{"name": "mine", "rules": [{"patches": "x"}]}'])
    assert "Rule 1 of mine" in said_at(page, "transformations")


def portworx(company: factories.Company) -> Any:
    given: dict[str, Any] = {
        "source": company.source,
        "destination": company.pair.destination,
        "object_store": company.store,
    }
    given["storage_class_mapping"] = {}
    return factories.portworx_pair(company.team, **given)


STORK_DEFAULTS = {"skipDeletedNamespaces"}
STORK = (
    "adminClusterPair", "preExecRule", "postExecRule", "transformSpecs", "namespaceSelectors",
    "includeOptionalResourceTypes", "skipServiceUpdate", "includeNetworkPolicyWithCIDR", "skipDeletedNamespaces",
    "ignoreOwnerReferencesCheck",
)  # fmt: skip


def test_options_of_stork_are_offered_for_its_pairs_alone(company: factories.Company, alice: Client) -> None:
    px = portworx(company)
    native = alice.get(f"/migrations/new/?pair={company.pair.pk}").content.decode()
    page = alice.get(f"/migrations/new/?pair={px.pk}").content.decode()
    for name in STORK:
        assert f'name="{name}"' not in native
        box = re.search(rf'<input[^>]*name="{name}"[^>]*>|<textarea name="{name}"', page)
        assert box is not None, name
        assert (" checked" in box[0]) is (name in STORK_DEFAULTS)
    assert "Rule in the Migration&#x27;s namespace, run before the volumes." in page
    assert 'name="conflict_policy"' not in page
    assert not re.search(r"<details open><summary>Options of Stork", page)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"adminClusterPair": "admin"}, {"adminClusterPair": "admin"}),
        ({"preExecRule": "quiesce", "postExecRule": "go-on"}, {"preExecRule": "quiesce", "postExecRule": "go-on"}),
        ({"transformSpecs": "smaller"}, {"transformSpecs": ["smaller"]}),
        (
            {"namespaceSelectors": "team = content\ntier=web"},
            {"namespaceSelectors": {"team": "content", "tier": "web"}},
        ),
        ({"includeOptionalResourceTypes": "Job"}, {"includeOptionalResourceTypes": ["Job"]}),
        ({"skipServiceUpdate": "on"}, {"skipServiceUpdate": True}),
        ({"includeNetworkPolicyWithCIDR": "on"}, {"includeNetworkPolicyWithCIDR": True}),
        ({"skipDeletedNamespaces": ""}, {"skipDeletedNamespaces": False}),
        ({"ignoreOwnerReferencesCheck": "on"}, {"ignoreOwnerReferencesCheck": True}),
    ],
)
def test_options_of_stork_arrive_and_are_shown(
    company: factories.Company, alice: Client, fields: Any, expected: Any
) -> None:
    px = portworx(company)
    assert asked(alice, px, **fields).stork_options == expected
    for row in (Migration.objects.get(name="asked"), MigrationPlan.objects.get(name="asked")):
        page = alice.get(row.get_absolute_url()).content.decode()
        shown = page[page.index("What was asked for") :]
        for name in STORK:
            assert (f">{name}</span>" in shown) is (name in expected)
    like = alice.get(f"/migrations/new/?like={row.pk}").content.decode()
    assert bool(re.search(r"<details open><summary>Options of Stork", like)) is bool(expected)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("adminClusterPair", "Admin Pair", "takes the name of an object"),
        ("preExecRule", "a/b", "takes the name of an object"),
        ("postExecRule", "-x", "takes the name of an object"),
        ("transformSpecs", "a\nb", "one ResourceTransformation at most"),
        ("transformSpecs", "A B", "takes the name of an object"),
        ("namespaceSelectors", "team", "is not of the form FROM = TO"),
        ("includeOptionalResourceTypes", "Pod", "only Job, not Pod"),
        ("label_selector", "app in (a, b)", "Stork takes only labels with their values"),
        ("exclude_selectors", "app=a,tier=b", "Stork takes one label with its value"),
    ],
)
def test_what_is_wrong_for_stork_is_said_at_its_field(
    company: factories.Company, alice: Client, field: str, value: str, said: str
) -> None:
    px = portworx(company)
    page = refused(alice, px, **{field: value})
    assert said in said_at(page, field)
    assert typed(page, field) == value
