"""Texts that name a namespace that is called differently there: shown with a rule, never changed by themselves."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from migrations_app.resources import rules
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import suggestions
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make, pod_spec, workload

SPEC = Spec(namespaces=("cms", "cms-db"), namespace_mapping={"cms": "prod", "cms-db": "data"})
MYSQL = make("Service", "mysql", "cms")
CANARY = "canary-9a1c"


def with_containers(*containers: Object) -> Object:
    obj = workload("Deployment", "web", "cms")
    obj["spec"]["template"]["spec"] = pod_spec(containers=list(containers))
    return obj


def variable(value: str, name: str = "HOST") -> Object:
    return with_containers({"name": "a"}, {"name": "b", "env": [{"name": "X"}, {"name": name, "value": value}]})


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("mysql.cms.svc.cluster.local", "mysql.prod.svc.cluster.local"),
        ("mysql.cms.svc", "mysql.prod.svc"),
        ("mysql.cms", "mysql.prod"),
        ("mysql.cms:3306", "mysql.prod:3306"),
        ("jdbc:mysql://mysql.cms.svc:3306/cms", "jdbc:mysql://mysql.prod.svc:3306/cms"),
        ("http://a.cms.svc,http://b.cms-db.svc", "http://a.prod.svc,http://b.data.svc"),
        ("db-0.db.cms-db.svc.cluster.local", "db-0.db.data.svc.cluster.local"),
        ("mysql-0.mysql.cms", "mysql-0.mysql.prod"),
        ("mysql.cms.example.com", None),
        ("other.cms", None),
        ("mysql.cms-old.svc", None),
        ("mysql.xcms.svc", None),
        ("cms", None),
        ("mysql", None),
        ("", None),
    ],
)
def test_names_of_services_are_found(text: str, after: str | None) -> None:
    found = [(each.before, each.after) for each in suggestions([MYSQL, variable(text)], SPEC)]
    assert found == ([(text, after)] if after else [])


@pytest.mark.parametrize("name", ["WATCH_NAMESPACE", "namespace", "POD_NAMESPACES"])
def test_a_namespace_that_stands_alone_is_found_where_one_is_meant(name: str) -> None:
    assert [each.after for each in suggestions([variable("cms", name)], SPEC)] == ["prod"]


CART: dict[str, Any] = {"apiVersion": "example.com/v1"}


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (variable("a.cms.svc"), "/spec/template/spec/containers/1/env/1/value"),
        (with_containers({"name": "a", "args": ["x", "--db=a.cms.svc"]}), "/spec/template/spec/containers/0/args/1"),
        (make("ConfigMap", "c", "cms", data={"my/key": "a: a.cms.svc"}), "/data/my~1key"),
        (make("Service", "s", "cms", spec={"externalName": "a.cms.svc"}), "/spec/externalName"),
        (
            make("Ingress", "i", "cms", metadata={"annotations": {"nginx/auth-url": "http://a.cms.svc/x"}}),
            "/metadata/annotations/nginx~1auth-url",
        ),
        (make("Cart", "c", "cms", spec={"hosts": ["a.cms.svc"]}, **CART), "/spec/hosts/0"),
        (make("Cart", "c", "cms", spec={"target": {"namespace": "cms"}}, **CART), "/spec/target/namespace"),
        (make("Cart", "c", "cms", spec={"namespaces": ["x", "cms"]}, **CART), "/spec/namespaces/1"),
    ],
)
def test_the_rule_that_comes_with_it_changes_this_place_and_no_other(obj: Object, path: str) -> None:
    (found,) = suggestions([obj], SPEC)
    assert found.path == path
    given = {"name": "suggested", "rules": [found.rule]}
    spec = Spec(namespaces=("cms",), namespace_mapping=SPEC.namespace_mapping, transformations=(given,))
    before, after = (transformed(obj, Options("m", spec=each)) for each in (SPEC, spec))
    assert json.dumps(after) == json.dumps(before).replace(
        json.dumps(found.before)[1:-1], json.dumps(found.after)[1:-1], 1
    )
    # Somebody changed the text since: the rule leaves it alone.
    changed = json.loads(json.dumps(obj).replace("cms.svc", "cms.svc.").replace('"cms"', '"else"'))
    (parsed,) = rules.transformations([given])
    assert parsed.rules[0].apply(changed) == changed


def test_what_a_pod_template_of_a_custom_resource_says_is_told_once() -> None:
    template = {"spec": pod_spec(containers=[{"name": "a", "args": ["a.cms.svc"]}])}
    assert len(suggestions([make("Cart", "c", "cms", spec={"template": template}, **CART)], SPEC)) == 1


def test_of_a_secret_it_is_told_which_key_names_a_service_and_nothing_else() -> None:
    text = f"mysql://root:{CANARY}@mysql.cms.svc/x"
    encoded = base64.b64encode(text.encode()).decode()
    secret = make("Secret", "s", "cms", data={"url": encoded, "other": "AAA=", "broken": "%"})
    (found,) = suggestions([secret], SPEC)
    assert (found.path, found.rule) == ("/data/url", None)
    assert CANARY not in str(found)
    assert encoded not in str(found)


def test_without_a_mapping_there_is_nothing_to_suggest() -> None:
    assert suggestions([variable("mysql.cms.svc")], Spec(namespaces=("cms",))) == []


def test_conditions_of_webhooks_that_name_a_namespace_are_shown_with_their_rule() -> None:
    conditions = [
        {"name": "ours", "expression": "request.namespace in ['cms', \"cms-db\", 'cms-other']"},
        {"name": "all", "expression": "request.operation == 'CREATE'"},
    ]
    hook = make("ValidatingWebhookConfiguration", "judge", webhooks=[{"name": "a", "matchConditions": conditions}])
    hook["metadata"].pop("namespace", None)
    (found,) = suggestions([hook], SPEC)
    assert found.path == "/webhooks/0/matchConditions/0/expression"
    assert found.after == "request.namespace in ['prod', \"data\", 'cms-other']"
    spec = Spec(namespaces=SPEC.namespaces, transformations=({"name": "t", "rules": [found.rule]},))
    changed = transformed(hook, Options("m1", spec=spec))
    assert [each["expression"] for each in changed["webhooks"][0]["matchConditions"]] == [
        found.after,
        conditions[1]["expression"],
    ]
