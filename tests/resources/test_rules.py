"""What users have changed: which objects a rule is about, what its patches do, and what is said where they cannot."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources import rules
from migrations_app.resources.rules import RuleError
from migrations_app.resources.rules.patching import merged
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make, pod_spec, workload

CANARY = "canary-5d1f"


def rule(patch: Any = None, **conditions: Any) -> Object:
    """A rule with a JSON patch, or one that adds a label."""
    patches = patch or [{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}]
    return {"conditions": conditions, "patches": patches}


def after(obj: Object, *given: Object, source: Object | None = None) -> Object:
    found = rules.transformations([{"name": "mine", "rules": list(given)}])
    return rules.applied(obj, source or obj, found)


WEB = workload("Deployment", "web", metadata={"labels": {"app": "web"}}, spec={"replicas": 3})


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"kinds": ["deployments.apps"]}, True),
        ({"kinds": ["Deployment.apps"]}, True),
        ({"kinds": ["*.apps"]}, True),
        ({"kinds": ["**"]}, True),
        ({"kinds": ["*"]}, False),
        ({"kinds": ["deployments"]}, False),
        ({"kinds": ["secrets", "deploy*.apps"]}, True),
        ({"names": ["web"]}, True),
        ({"names": ["we?", "x"]}, True),
        ({"names": ["api"]}, False),
        ({"nameRegex": "^w.b$"}, True),
        ({"nameRegex": "e"}, True),
        ({"nameRegex": "^e"}, False),
        ({"namespaces": ["shop"]}, True),
        ({"namespaces": ["sh*"]}, True),
        ({"namespaces": ["cms"]}, False),
        ({"labelSelector": "app in (web,api)"}, True),
        ({"labelSelector": "app!=web"}, False),
        ({"labelSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}, False),
        ({"matches": [{"path": "/spec/replicas", "value": 3}]}, True),
        ({"matches": [{"path": "/spec/replicas", "value": "3"}]}, False),
        ({"matches": [{"path": "/spec/replicas", "value": True}]}, False),
        ({"matches": [{"path": "/spec/replicas"}]}, True),
        ({"matches": [{"path": "/spec/paused"}]}, False),
        ({"matches": [{"path": "/spec/template/spec/containers/*/name", "value": "main"}]}, True),
        ({"matches": [{"path": "/spec/template/spec/containers/*/name", "value": "side"}]}, False),
        ({"matches": [{"path": "/metadata/labels/app", "value": "web"}, {"path": "/spec/x", "value": 1}]}, False),
        ({"kinds": ["deployments.apps"], "names": ["api"]}, False),
    ],
)
def test_a_rule_is_about_what_all_its_conditions_hold_for(conditions: Object, holds: bool) -> None:
    assert ("seen" in after(WEB, rule(**conditions))["metadata"]["labels"]) is holds


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("Ingress", "ingresses.networking.k8s.io"),
        ("NetworkPolicy", "networkpolicies.networking.k8s.io"),
        ("Gateway", "gatewaies.gateway.networking.k8s.io"),
        ("Gateway", "gateway.gateway.networking.k8s.io"),
        ("Endpoints", "endpoints"),
        ("Secret", "secrets"),
        ("Secret", "*"),
    ],
)
def test_kinds_are_told_by_their_plurals_as_apimachinery_guesses_them(kind: str, pattern: str) -> None:
    obj = make(kind, "x", metadata={"labels": {}})
    assert "seen" in after(obj, rule(kinds=[pattern]))["metadata"]["labels"]


def test_what_lies_outside_of_namespaces_is_not_kept_back_by_them() -> None:
    """velero resource_modifiers.go: namespaces are asked only of what lies in one."""
    obj = make("ClusterRole", "r", metadata={"labels": {}})
    assert after(obj, rule(namespaces=["shop"]))["metadata"]["labels"] == {"seen": "yes"}


def test_rules_are_judged_by_the_source_and_applied_to_what_came_of_it() -> None:
    mine = {"name": "mine", "rules": [rule(namespaces=["shop"]), rule(namespaces=["store"]), rule(names=["api"])]}
    second = rule(
        [{"op": "replace", "path": "/spec/replicas", "value": 9}], matches=[{"path": "/spec/replicas", "value": 3}]
    )
    first = rule([{"op": "replace", "path": "/spec/replicas", "value": 5}])
    spec = Spec(
        namespaces=("shop",), namespace_mapping={"shop": "store"}, transformations=(mine, {"rules": [first, second]})
    )
    found = transformed(WEB, Options("m1", spec=spec))
    assert found["metadata"]["namespace"] == "store"
    assert found["metadata"]["labels"]["seen"] == "yes"
    assert found["spec"]["replicas"] == 9


def test_a_rule_is_not_applied_twice_and_stopped_applications_stay_stopped() -> None:
    patch = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "side"}}]
    replicas = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    spec = Spec(
        namespaces=("shop",),
        start_applications=False,
        transformations=({"name": "a", "rules": [rule(patch), rule(replicas)]},),
    )
    options = Options("m1", spec=spec)
    once = transformed(WEB, options)
    assert [each["name"] for each in once["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    assert once["spec"]["replicas"] == 0
    assert once["metadata"]["annotations"]["stork.libopenstorage.org/migrationReplicas"] == "5"
    assert transformed(once, options) == once


# -- JSON patch

BASE = {"a": {"b": 1}, "list": [{"n": 1}, {"n": 2}, {"n": 3}], "text": "x", "x/y": {"~z": 1}}


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([{"op": "add", "path": "/a/c", "value": 2}], {"a": {"b": 1, "c": 2}}),
        ([{"op": "add", "path": "/a/b", "value": None}], {"a": {"b": None}}),
        ([{"op": "add", "path": "/list/-", "value": 4}], {"list": [{"n": 1}, {"n": 2}, {"n": 3}, 4]}),
        ([{"op": "add", "path": "/list/0", "value": 0}], {"list": [0, {"n": 1}, {"n": 2}, {"n": 3}]}),
        ([{"op": "remove", "path": "/a/b"}], {"a": {}}),
        ([{"op": "replace", "path": "/text", "value": {"c": 1}}], {"text": {"c": 1}}),
        ([{"op": "move", "from": "/a/b", "path": "/text"}], {"a": {}, "text": 1}),
        ([{"op": "copy", "from": "/a", "path": "/list/1/n"}], {"list": [{"n": 1}, {"n": {"b": 1}}, {"n": 3}]}),
        ([{"op": "replace", "path": "/x~1y/~0z", "value": 2}], {"x/y": {"~z": 2}}),
        ([{"op": "replace", "path": "/list/*/n", "value": 0}], {"list": [{"n": 0}] * 3}),
        ([{"op": "add", "path": "/list/*/m", "value": 0}], {"list": [{"n": n, "m": 0} for n in (1, 2, 3)]}),
        ([{"op": "remove", "path": "/list/*"}], {"list": []}),
        ([{"op": "replace", "path": "/a/*", "value": 7}], {"a": {"b": 7}}),
        ([{"op": "test", "path": "/a/b", "value": 1}, {"op": "remove", "path": "/a/b"}], {"a": {}}),
        ([{"op": "remove", "path": "/a/b"}, {"op": "test", "path": "/text", "value": "y"}], {}),
        ([{"op": "test", "path": "/nothing", "value": 1}, {"op": "remove", "path": "/a/b"}], {}),
        ([{"op": "test", "path": "/nothing/*", "value": 1}, {"op": "remove", "path": "/a/b"}], {}),
    ],
)
def test_a_json_patch_does_what_rfc_6902_says_and_a_failed_test_leaves_all_as_it_was(
    patches: list[Object], expected: Object
) -> None:
    obj = make("ConfigMap", "c", **copy.deepcopy(BASE))
    before = copy.deepcopy(obj)
    assert after(obj, {"patches": patches}) == {**before, **expected}
    assert obj == before


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"op": "replace", "path": "/a/x", "value": 1}, "replace /a/x: there is nothing at this path."),
        ({"op": "add", "path": "/x/y/z", "value": 1}, "add /x/y/z: there is nothing at /x/y."),
        ({"op": "remove", "path": "/list/7"}, "remove /list/7: the list has no place 7."),
        ({"op": "add", "path": "/list/x", "value": 1}, "add /list/x: the list has no place x."),
        ({"op": "move", "from": "/q", "path": "/a/b"}, "move /a/b: there is nothing at /q."),
        ({"op": "replace", "path": "/nothing/*/x", "value": 1}, "replace /nothing/*/x: there is nothing at this path."),
        ({"op": "replace", "path": "/kind", "value": "Secret"}, "changes /kind from 'ConfigMap' to 'Secret'"),
        ({"op": "replace", "path": "/metadata/name", "value": "d"}, "changes /metadata/name from 'c' to 'd'"),
        ({"op": "remove", "path": "/metadata/namespace"}, "changes /metadata/namespace from 'shop' to None"),
        ({"op": "remove", "path": "/metadata"}, "changes /metadata/name from 'c' to None"),
    ],
)
def test_a_patch_that_cannot_be_applied_says_which_rule_which_object_and_which_path(patch: Object, said: str) -> None:
    obj = make("ConfigMap", "c", **copy.deepcopy(BASE))
    with pytest.raises(RuleError) as refused:
        after(obj, {"name": "the second", "patches": [patch]})
    assert said in str(refused.value)
    assert str(refused.value).startswith("Rule 1 of mine (the second), /v1, Kind=ConfigMap shop/c: ")


def test_values_of_objects_are_not_in_what_is_said() -> None:
    secret = make("Secret", "s", data={"password": CANARY, "list": [CANARY]})
    for patch in (
        {"op": "replace", "path": "/data/password/deeper", "value": 1},
        {"op": "remove", "path": "/data/list/9"},
        {"op": "add", "path": "/data/password/0", "value": 1},
        {"op": "move", "from": "/data/password/x", "path": "/data/y"},
    ):
        with pytest.raises(RuleError) as refused:
            after(secret, {"patches": [patch]})
        assert CANARY not in str(refused.value)


@pytest.mark.parametrize("op", ["copy", "move"])
@pytest.mark.parametrize("source", ["/data", "/data/password", "/stringData/password"])
def test_values_of_a_secret_cannot_be_carried_to_where_they_are_shown(op: str, source: str) -> None:
    secret = make("Secret", "s", metadata={"labels": {}}, data={"password": CANARY}, stringData={"password": CANARY})
    with pytest.raises(RuleError, match="may not be carried out of data and stringData"):
        after(secret, {"patches": [{"op": op, "from": source, "path": "/metadata/labels/x"}]})
    within = after(secret, {"patches": [{"op": op, "from": "/data/password", "path": "/data/other"}]})
    assert within["data"]["other"] == CANARY


# -- merge patch


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_says(target: Any, patch: Any, expected: Any) -> None:
    """The table of the RFC's appendix A."""
    assert merged(target, patch) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(JSON, JSON)
def test_merging_twice_gives_what_merging_once_gave_and_changes_no_input(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merged(target, patch)
    assert merged(once, patch) == once
    assert (target, patch) == before


# -- strategic merge patch


def containers(*found: Object) -> Object:
    obj = workload("Deployment", "web")
    obj["spec"]["template"]["spec"] = {"containers": list(found)}
    return obj


def strategic(obj: Object, patch: Object) -> Any:
    return after(obj, {"strategicPatches": [patch]})


def test_items_of_lists_are_merged_by_their_key_and_new_ones_come_first() -> None:
    """kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch."""
    obj = containers(
        {"name": "nginx", "image": "nginx", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    )
    patch = [
        {"name": "redis", "image": "redis"},
        {"name": "nginx", "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}]},
    ]
    found = strategic(obj, {"spec": {"template": {"spec": {"containers": patch}}}})
    assert found["spec"]["template"]["spec"]["containers"] == [
        {"name": "redis", "image": "redis"},
        {"name": "nginx", "image": "nginx", "env": [{"name": "B", "value": "3"}]},
    ]


@pytest.mark.parametrize(
    ("before", "patch", "expected"),
    [
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"nodeSelector": {"a": "1", "b": "2"}}, {"nodeSelector": {"a": None}}, {"nodeSelector": {"b": "2"}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "replace", "b": "2"}}, {"nodeSelector": {"b": "2"}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "delete"}}, {}),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}]},
            {"volumes": [{"name": "a", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]},
            {"volumes": [{"name": "a", "secret": {"secretName": "s"}}]},
        ),
        (
            {"volumes": [{"name": "a"}, {"name": "b"}]},
            {"volumes": [{"$patch": "replace"}, {"name": "c"}]},
            {"volumes": [{"name": "c"}]},
        ),
        (
            {"containers": [{"name": "m", "ports": [{"containerPort": 80, "name": "http"}]}]},
            {"containers": [{"name": "m", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]}]},
            {"containers": [{"name": "m", "ports": [{"containerPort": 81}, {"containerPort": 80, "name": "web"}]}]},
        ),
        ({"x": [1, 2, 3]}, {"$deleteFromPrimitiveList/x": [2]}, {"x": [1, 3]}),
        (
            {"containers": [{"name": "m"}]},
            {"$setElementOrder/containers": [{"name": "m"}]},
            {"containers": [{"name": "m"}]},
        ),
    ],
)
def test_directives_and_lists_without_a_key_are_as_the_api_server_has_them(
    before: Object, patch: Object, expected: Object
) -> None:
    """apimachinery pkg/util/strategicpatch."""
    obj = make("Pod", "p", spec=before)
    assert strategic(obj, {"spec": patch})["spec"] == expected


def test_the_ports_of_a_service_are_told_by_their_port() -> None:
    obj = make("Service", "s", spec={"ports": [{"port": 80, "nodePort": 30080}, {"port": 81}]})
    found = strategic(obj, {"spec": {"ports": [{"port": 80, "nodePort": 30090}]}})
    assert found["spec"]["ports"] == [{"port": 80, "nodePort": 30090}, {"port": 81}]


def test_custom_resources_know_no_strategic_patch() -> None:
    with pytest.raises(RuleError, match="knows no strategic patches; use mergePatches or patches"):
        strategic(make("Cart", "c", apiVersion="example.com/v1"), {"spec": {}})


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(RuleError, match="/spec/containers: each item needs `name`"):
        strategic(make("Pod", "p", spec=pod_spec()), {"spec": {"containers": [{"image": "x"}]}})


# -- what cannot be read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("text", "The rules must be a list, not a text."),
        (["text"], "Rule 1 of mine: A rule must be a mapping of names to values, not a text."),
        ([{}], "It needs one of patches, mergePatches, strategicPatches, and has none."),
        ([{**rule(), "mergePatches": [{}]}], "and has patches and mergePatches."),
        ([{**rule(), "patch": []}], "patch: a rule has no such field"),
        ([rule(kind=["x"])], "kind: a rule's conditions has no such field; it has kinds, names"),
        ([rule(kinds="secrets")], "kinds must be a list, not a text."),
        ([rule(names=[1])], "names must be a list of texts."),
        ([rule(labelSelector="a b")], "labelSelector: In the selector `a b`"),
        ([rule(labelSelector={"matchExpressions": [{"operator": "In"}]})], "labelSelector"),
        ([rule(matches=[{"value": 1}])], "A path is a text such as `/spec/replicas`"),
        ([rule(nameRegex="(")], "`(` is no regular expression"),
        ([rule(nameRegex="(a+)+b")], "repetitions"),
        ([rule(nameRegex="a*b*c*d*e")], "repetitions"),
        ([rule(nameRegex="(a|b*)*")], "repetitions"),
        ([rule(nameRegex="a{1,200}b{1,200}c{1,200}d{1,200}")], "repetitions"),
        ([rule([{"op": "set", "path": "/a"}])], "Patch 1: There is no operation 'set'"),
        ([rule([{"op": "add", "path": "/a"}])], "add /a needs `value`."),
        ([rule([{"op": "move", "path": "/a"}])], "move /a needs `from`."),
        ([rule([{"op": "remove", "path": "a"}])], "not 'a'."),
        ([rule([{"op": "remove", "path": "/a~2"}])], "The path /a~2 cannot be read"),
        ([rule([{"op": "copy", "from": "/*", "path": "/a"}])], "copy takes one path without `*`."),
        ([{"mergePatches": [[1]]}], "Each of mergePatches must be a mapping"),
        ([rule()] * 201, "There are 201 rules; at most 200 are allowed."),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_read_is_refused_with_the_place(given: Any, said: str) -> None:
    with pytest.raises(RuleError) as refused:
        rules.parse(given, "mine")
    assert said in str(refused.value)


@pytest.mark.parametrize("pattern", ["^mysql.*$", "^(web|api)-[0-9]+$", ".*-db-.*", "a{2,5}b+"])
def test_patterns_as_people_write_them_are_taken(pattern: str) -> None:
    assert rules.parse([rule(nameRegex=pattern)])
