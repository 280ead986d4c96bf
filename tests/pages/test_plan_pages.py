"""The page of a plan: what is shown first, filters, choosing, differences, and what happens on Migrate."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clusters.texts import counted, said
from migrations_app.engines import Contents, RetriableError
from migrations_app.engines.native import planning
from migrations_app.engines.native.engine import NativeEngine
from migrations_app.models import Migration
from migrations_app.plans.models import MigrationPlan, PlannedObject, PlanStatus, PlanStep
from migrations_app.resources.preflight.facts import side_named
from migrations_app.resources.preflight.result import Check
from tests import factories

HTMX = {"HTTP_HX_REQUEST": "true"}


def shown(client: Client, path: str, **extra: Any) -> str:
    response = client.get(path, **extra)
    assert response.status_code == 200, path
    return response.content.decode()


def at(company: factories.Company) -> str:
    return f"/plans/{company.plan.pk}/"


def row(company: factories.Company, **fields: Any) -> PlannedObject:
    return company.plan.objects_planned.get(**fields)


def test_failures_and_warnings_come_before_what_passed_and_before_the_objects(
    company: factories.Company, alice: Client
) -> None:
    failing = {**factories.PLAN_CHECKS[1], "status": "failure", "title": "Room", "message": "There is no room."}
    MigrationPlan.objects.update(checks=[*factories.PLAN_CHECKS, failing])
    page = shown(alice, at(company))
    places = [page.index(each) for each in ("There is no room.", "leaves room for one", "What passed", 'id="objects"')]
    assert places[1:] == sorted(places[1:])
    preflight = page[page.index("Preflight") :]
    assert preflight.index("There is no room.") < preflight.index("leaves room for one")


def test_a_failing_check_disables_the_button_and_says_why(company: factories.Company, alice: Client) -> None:
    assert not re.search(r"Migrate[^<]*</span></button>.*disabled", shown(alice, at(company)))
    failing = {**factories.PLAN_CHECKS[1], "status": "failure", "message": "There is no room.", "remedy": "Make some."}
    MigrationPlan.objects.update(checks=[failing])
    page = shown(alice, at(company))
    assert 'disabled aria-describedby="plan-obstacles"' in page
    assert "There is no room. Make some." in page[page.index('id="plan-obstacles"') :]
    said = alice.post(f"{at(company)}migrate/", follow=True).content.decode()
    assert not Migration.objects.filter(plan=company.plan).exists()
    assert "There is no room. Make some." in said


def test_checks_are_said_in_the_readers_language_and_exported_in_english(
    company: factories.Company, alice: Client
) -> None:
    side = side_named("destination", "prod")
    check = Check("quota", said("Quotas of the destination's namespaces"))
    found = check.failure(
        counted(2, "What comes fits into {n} quota of the {destination}.",
                "What comes fits into {n} quotas of the {destination}.", destination=side),
        why=said("The pods would wait for ever."),
        remedy=said("Wait until it is gone."),
    )  # fmt: skip
    MigrationPlan.objects.update(checks=[found.to_dict(), factories.PLAN_CHECKS[0]])
    chinese = {"headers": {"accept-language": "zh-CN,zh;q=0.9"}}
    page = shown(alice, at(company), **chinese)
    for text in ("目标命名空间的配额", "迁移内容符合目标集群 prod 的 2 个配额。", "这些 Pod 会一直等待。"):
        assert text in page
    assert "目标集群 prod 的 2 个配额。请等到它消失。" in page[page.index('id="plan-obstacles"') :]
    assert str(factories.PLAN_CHECKS[0]["message"]) in page, "of a row that knows its English only"
    assert "fits into 2 quotas of the destination cluster prod." in shown(alice, at(company))
    exported = alice.get(f"{at(company)}checks.json", **chinese).json()["checks"][0]
    assert exported["message"] == "What comes fits into 2 quotas of the destination cluster prod."


def test_the_tree_counts_by_kind_and_rows_come_when_a_kind_is_opened(company: factories.Company, alice: Client) -> None:
    page = shown(alice, at(company))
    kinds = re.findall(r'<li class="kmw-kind" id="kind-([\w]+)">', page)
    assert kinds == [
        "serviceaccounts",
        "secrets",
        "configmaps",
        "services",
        "deployments_apps",
        "routes_route_openshift_io",
        "replicasets_apps",
    ]
    assert "wordpress-config" not in page
    rows = shown(alice, f"{at(company)}kind/?resource=configmaps", **HTMX)
    assert "<html" not in rows
    assert "mysql-config" in rows
    assert "wordpress-config" in rows


def test_without_scripts_a_kind_is_opened_by_a_link(company: factories.Company, alice: Client) -> None:
    page = shown(alice, f"{at(company)}?resource=configmaps")
    assert "wordpress-config" in page
    response = alice.get(f"{at(company)}kind/?resource=configmaps&q=a")
    assert response["Location"] == f"{at(company)}?resource=configmaps&q=a"


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("action=conflict", ["services"]),
        ("action=left-out", ["replicasets_apps"]),
        ("q=WORDPRESS", ["configmaps", "services", "deployments_apps"]),
        ("q=is taken", ["routes_route_openshift_io"]),
        ("namespace=shop", []),
        ("action=nonsense&q=secret", ["secrets"]),
    ],
)
def test_the_tree_is_filtered_by_the_address(
    company: factories.Company, alice: Client, query: str, kinds: list[str]
) -> None:
    page = shown(alice, f"{at(company)}?{query}")
    assert re.findall(r'<li class="kmw-kind" id="kind-([\w]+)">', page) == kinds
    if not kinds:
        assert "Nothing fits the filter." in page


def test_what_is_unticked_stays_and_what_it_breaks_is_said_at_once(company: factories.Company, alice: Client) -> None:
    secret = row(company, resource="secrets")
    page = alice.post(
        f"{at(company)}choose/", {"resource": "secrets", "shown": [secret.pk]}, headers={"HX-Request": "true"}
    ).content.decode()
    assert re.search(r'id="plan-lacks" hx-swap-oob="true"><div', page)
    assert "Secret cms/mysql-pass</strong> is left out by name. Would not work without it:" in page
    assert "Deployment cms/wordpress</a>" in page
    assert re.search(rf'value="{secret.pk}" id="goes-{secret.pk}" aria-label', page), "the box is no longer ticked"
    company.plan.refresh_from_db()
    assert company.plan.asked().selection.exclude_objects == ("secrets/cms/mysql-pass",)
    again = {"resource": "secrets", "shown": [secret.pk], "included": [secret.pk]}
    page = alice.post(f"{at(company)}choose/", again, headers={"HX-Request": "true"}).content.decode()
    assert '<div id="plan-lacks" hx-swap-oob="true"></div>' in page
    company.plan.refresh_from_db()
    assert company.plan.asked().selection == type(company.plan.asked().selection)()


def test_a_whole_kind_can_stay_and_come_back(company: factories.Company, alice: Client) -> None:
    for whole, kinds, included in (("0", ("configmaps",), 0), ("1", (), 2)):
        response = alice.post(f"{at(company)}choose/", {"resource": "configmaps", "whole": whole, "action": "create"})
        assert response["Location"] == f"{at(company)}?action=create&resource=configmaps"
        company.plan.refresh_from_db()
        assert company.plan.asked().selection.exclude_kinds == kinds
        assert company.plan.objects_planned.filter(resource="configmaps", included=True).count() == included


def test_a_kind_that_comes_back_leaves_behind_what_a_rule_keeps_and_asks_nothing_again(
    company: factories.Company, alice: Client
) -> None:
    kept = company.plan.objects_planned.create(
        order=99, version="v1", kind="ConfigMap", resource="configmaps", source_namespace="cms", namespace="cms",
        name="kube-root-ca.crt", action="left-out", included=False, reason="every namespace has it by itself",
    )  # fmt: skip
    for whole in ("0", "1"):
        alice.post(f"{at(company)}choose/", {"resource": "configmaps", "whole": whole})
    kept.refresh_from_db()
    company.plan.refresh_from_db()
    assert (kept.included, kept.action) == (False, "left-out")
    assert company.plan.is_settled
    assert company.plan.spec["selection"]["include_objects"] == []


def test_what_was_left_out_by_a_rule_is_asked_about_when_it_is_ticked(
    company: factories.Company, alice: Client
) -> None:
    owned = row(company, resource="replicasets.apps")
    given = {"resource": "replicasets.apps", "shown": [owned.pk], "included": [owned.pk]}
    response = alice.post(f"{at(company)}choose/", given, headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == f"{at(company)}?resource=replicasets.apps"
    company.plan.refresh_from_db()
    assert (company.plan.status, company.plan.step) == (PlanStatus.IN_PROGRESS, PlanStep.OBJECTS)
    assert company.plan.next_look_at is not None
    page = shown(alice, at(company))
    assert 'hx-trigger="every 1s"' in page
    assert "8 / 8" in page


def test_the_fragment_of_progress_asks_for_the_whole_page_once_it_is_settled(
    company: factories.Company, alice: Client
) -> None:
    MigrationPlan.objects.update(status=PlanStatus.IN_PROGRESS, step=PlanStep.OBJECTS, objects_done=3)
    response = alice.get(f"{at(company)}progress/")
    assert "3 / 8" in response.content.decode()
    assert "HX-Refresh" not in response
    MigrationPlan.objects.update(status=PlanStatus.READY)
    assert alice.get(f"{at(company)}progress/")["HX-Refresh"] == "true"


def test_a_plan_that_could_not_be_made_says_why(company: factories.Company, alice: Client) -> None:
    MigrationPlan.objects.update(status=PlanStatus.FAILED, reason="Source cluster dev: it does not let us in")
    page = shown(alice, at(company))
    assert "The plan could not be made." in page
    assert "it does not let us in" in page


def test_the_differences_of_an_object_are_shown_field_by_field(company: factories.Company, alice: Client) -> None:
    service = row(company, resource="services")
    page = shown(alice, service.get_absolute_url())
    assert "<html" in page
    assert "spec.type" in page
    assert "<del>ClusterIP</del>" in page
    assert "<ins>NodePort</ins>" in page
    assert "<html" not in shown(alice, service.get_absolute_url(), **HTMX)


def test_yaml_is_asked_of_the_clusters_and_shows_no_value_of_a_secret(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "mysql-pass",
            "namespace": "cms",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "c2VzYW1l"}}'},
        },
        "data": {"password": "c2VzYW1l"},
    }
    found = Contents(secret, secret, {**secret, "stringData": {"password": "sesame"}})
    monkeypatch.setattr("migrations_app.engines.native.engine.NativeEngine.contents", lambda *_a, **_o: found)
    page = shown(alice, f"{row(company, resource='secrets').get_absolute_url()}yaml/")
    assert "(not shown: 6 bytes)" in page
    assert "c2VzYW1l" not in page
    assert "sesame" not in page.lower()


def test_a_cluster_that_does_not_answer_is_said_where_the_yaml_would_be(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_arguments: Any, **_options: Any) -> Contents:
        raise RetriableError("Source cluster dev: no answer")

    monkeypatch.setattr("migrations_app.engines.native.engine.NativeEngine.contents", silent)
    assert "Source cluster dev: no answer" in shown(alice, f"{row(company, name='wp').get_absolute_url()}yaml/")


def test_a_plan_becomes_a_migration_which_names_its_plan(company: factories.Company, alice: Client) -> None:
    response = alice.post(f"{at(company)}migrate/")
    migration = Migration.objects.get(plan=company.plan)
    assert response["Location"] == migration.get_absolute_url()
    assert f'href="{at(company)}"' in shown(alice, migration.get_absolute_url())
    page = shown(alice, at(company))
    assert migration.name in page
    assert "look-again" not in page
    assert 'type="checkbox"' not in page


def test_a_viewer_sees_the_plan_and_is_offered_nothing(company: factories.Company, client: Client) -> None:
    client.force_login(company.bob)
    page = shown(client, f"{at(company)}?resource=secrets")
    for offer in ("/migrate/", "/choose/", "/look-again/", "/remove/", "/export/", "/yaml/", 'type="checkbox"'):
        assert offer not in page, offer


def test_only_an_admin_is_offered_the_secrets(company: factories.Company, client: Client) -> None:
    client.force_login(company.olivia)
    assert "?secrets=1" not in shown(client, at(company))
    client.force_login(company.alice)
    assert "?secrets=1" in shown(client, at(company))


def test_an_export_is_sent_as_a_file(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations_app.engines.native.engine.NativeEngine.whole", lambda *_a, **_o: [])
    response = alice.get(f"{at(company)}export/")
    assert response["Content-Type"] == "application/gzip"
    assert re.search(r'attachment; filename="cms-\w{8}\.tar\.gz"', response["Content-Disposition"])
    assert b"".join(response.streaming_content)[:2] == b"\x1f\x8b"  # type: ignore[attr-defined]


def test_the_plan_of_a_pair_whose_objects_another_applies_says_who(company: factories.Company, alice: Client) -> None:
    type(company.pair).objects.update(engine="portworx")
    MigrationPlan.objects.update(kinds={"Deployment": 2, "Secret": 1})
    company.plan.objects_planned.all().delete()
    page = shown(alice, at(company))
    assert "Stork collects and applies the objects of this pair itself" in page
    assert "Deployment" in page


@pytest.fixture
def large(company: factories.Company) -> MigrationPlan:
    return factories.plan(company.pair, objects=5000)


# Session and user, the plan, what is lacking (2), counts, what the viewer may (2), kinds, caveats, namespaces.
QUERIES = {"": 11, "?q=object-00&action=create": 11, "kind/?resource=kind7s.group7.example.com": 7, "progress/": 3}


@pytest.mark.parametrize("path", QUERIES)
def test_a_plan_of_five_thousand_objects_asks_no_more_than_a_small_one(
    company: factories.Company, large: MigrationPlan, alice: Client, path: str
) -> None:
    def queries(plan: MigrationPlan) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert alice.get(f"/plans/{plan.pk}/{path}", **HTMX).status_code == 200
        return len(asked)

    assert queries(large) <= QUERIES[path]
    assert queries(large) <= queries(company.plan) + 1


def test_a_page_of_five_thousand_objects_is_small_and_there_in_a_second(large: MigrationPlan, alice: Client) -> None:
    # A thousand objects refer to the Secret that stays.
    page = alice.post(f"/plans/{large.pk}/choose/", {"resource": "secrets", "whole": "0"}, follow=True)
    assert "and 994 more" in page.content.decode()
    spent = {}
    for path, most in (("", 1.0), ("kind/?resource=kind7s.group7.example.com", 0.3)):
        begun = time.perf_counter()
        response = alice.get(f"/plans/{large.pk}/{path}", **HTMX)
        spent[path] = time.perf_counter() - begun
        assert len(response.content) < 200_000
        # On a machine that has nothing else to do it takes a tenth of this.
        assert spent[path] < most * 3, spent


def test_planning_is_not_asked_of_clusters_by_any_page_but_yaml_and_export(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("a cluster was asked")

    for name in ("source_of", "destination_of"):
        monkeypatch.setattr(planning, name, asked)
    for path in ("/plans/", at(company), f"{at(company)}checks.json", row(company, name="wp").get_absolute_url()):
        assert alice.get(path).status_code == 200


def test_what_is_purged_has_a_count_a_filter_and_shows_what_goes(company: factories.Company, alice: Client) -> None:
    gone = row(company, resource="configmaps", name="wordpress-config")
    PlannedObject.objects.filter(pk=gone.pk).update(
        action="purge",
        reason="is deleted on the destination",
        diff=[{"path": "data", "before": {"a": "b"}, "after": None}],
    )
    page = shown(alice, at(company))
    assert "1 object on the destination would be deleted." in page[: page.index('id="objects"')]
    assert re.search(r'<a href="\?action=purge#objects">1</a>', page)
    filtered = shown(alice, f"{at(company)}?action=purge")
    assert re.findall(r'<li class="kmw-kind" id="kind-([\w]+)">', filtered) == ["configmaps"]
    assert '<option value="purge" selected>purge</option>' in filtered
    rows = shown(alice, f"{at(company)}kind/?resource=configmaps&action=purge", **HTMX)
    assert "wordpress-config" in rows
    assert "mysql-config" not in rows
    looked = shown(alice, f"{at(company)}objects/{gone.pk}/")
    assert "All of it is deleted on the destination:" in looked
    assert "<del>{\n &quot;a&quot;: &quot;b&quot;\n}</del>" in looked


def test_the_yaml_of_what_is_purged_is_what_the_destination_has(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = row(company, resource="configmaps", name="wordpress-config")
    PlannedObject.objects.filter(pk=gone.pk).update(action="purge")
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wordpress-config"}, "data": {"a": "b"}}
    monkeypatch.setattr(NativeEngine, "contents", lambda *_arguments, **_more: Contents(None, None, there))
    page = shown(alice, f"{at(company)}objects/{gone.pk}/yaml/")
    assert "What is deleted on the destination" in page
    assert "<del class=''>-  a: b</del>" in page


@pytest.fixture
def warned(company: factories.Company) -> MigrationPlan:
    """A plan with a failure, many warnings of one check and two of another."""
    about = {"why": "", "remedy": "", "command": "", "objects": []}
    many = [
        {
            "code": "registries",
            "title": "Registries",
            "status": "warning",
            "message": f"Image {n} may be lacking.",
            **about,
        }
        for n in range(148)
    ]
    few = [
        {"code": "quota", "title": "Quota", "status": "warning", "message": f"Quota {n}.", **about} for n in range(2)
    ]
    failure = {"code": "existing", "title": "Existing", "status": "failure", "message": "It is there.", **about}
    MigrationPlan.objects.filter(pk=company.plan.pk).update(checks=[*many[:100], *few, *many[100:], failure])
    return MigrationPlan.objects.get(pk=company.plan.pk)


def test_of_many_equal_checks_the_first_are_shown_and_the_rest_when_asked(
    company: factories.Company, warned: MigrationPlan, alice: Client
) -> None:
    page = shown(alice, at(company))
    assert "1 failure" in page
    assert "150 warnings" in page
    assert page.index("It is there.") < page.index("Image 0 may be lacking.")
    assert "Image 2 may be lacking." in page
    assert "Image 3 may be lacking." not in page
    assert "Quota 0." in page
    assert "Quota 1." in page
    assert "Show all 148 of “Registries”" in page
    assert page.count("Show all") == 1

    rest = alice.get(f"{at(company)}checks/?code=registries&status=warning", **HTMX).content.decode()
    assert rest.count("may be lacking") == 145
    assert "Image 147 may be lacking." in rest
    assert "Quota" not in rest
    # Without scripts, the page itself shows them.
    answer = alice.get(f"{at(company)}checks/?code=registries&status=warning")
    assert answer["Location"] == f"{at(company)}?checks=registries#checks"
    assert shown(alice, f"{at(company)}?checks=registries").count("may be lacking") == 148
    assert len(alice.get(f"{at(company)}checks.json").json()["checks"]) == 151


def test_others_may_not_see_the_rest_of_the_checks(company: factories.Company, warned: MigrationPlan) -> None:
    outsider = Client()
    outsider.force_login(factories.person("stranger"))
    assert outsider.get(f"{at(company)}checks/?code=registries&status=warning", **HTMX).status_code == 404
