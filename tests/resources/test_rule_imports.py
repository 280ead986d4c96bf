"""Rules of others, read as ours: what they did there is done here."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources import rules
from migrations_app.resources.rules import RuleError
from migrations_app.resources.rules.importing import read
from tests.resources.objects import Object, make, workload


def after(text: str, obj: Object) -> Any:
    found = rules.transformations([{"name": "imported", "rules": read(text)}])
    return rules.applied(obj, obj, found)


# From velero.io/docs/main/restore-resource-modifiers.
VELERO = """
version: v1
resourceModifierRules:
- conditions:
    groupResource: persistentvolumeclaims
    resourceNameRegex: "^mysql.*$"
    namespaces:
    - bar
    - foo
    labelSelector:
      matchLabels:
        foo: bar
  patches:
  - operation: replace
    path: "/spec/storageClassName"
    value: "premium"
  - operation: remove
    path: "/metadata/labels/test"
"""


def claim(**metadata: Any) -> Object:
    name, namespace = metadata.pop("name", "mysql-0"), metadata.pop("namespace", "foo")
    labels = metadata.pop("labels", {"foo": "bar", "test": "x"})
    spec = {"storageClassName": "standard"}
    return make("PersistentVolumeClaim", name, namespace, metadata={"labels": labels}, spec=spec)


def test_velero_s_first_example_does_what_its_page_says() -> None:
    found = after(VELERO, claim())
    assert found["spec"]["storageClassName"] == "premium"
    assert found["metadata"]["labels"] == {"foo": "bar"}


@pytest.mark.parametrize(
    "obj", [claim(name="pg-0"), claim(namespace="baz"), claim(labels={"test": "x"}), make("Pod", "mysql")]
)
def test_velero_s_conditions_all_have_to_hold(obj: Object) -> None:
    assert after(VELERO, obj) == obj


def test_the_configmap_around_the_rules_is_seen_through() -> None:
    config_map = make("ConfigMap", "rules", "velero", data={"resource-modifiers.yaml": VELERO})
    assert read(yaml.safe_dump(config_map)) == read(VELERO)


def velero(patches: str, conditions: str = "groupResource: deployments.apps") -> str:
    return f"version: v1\nresourceModifierRules:\n- conditions: {{{conditions}}}\n  {patches}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"premium"', "premium"),
        ('"2"', 2),
        ('"2.5"', 2.5),
        ('"true"', True),
        ('"FALSE"', False),
        ('"null"', None),
        ('""', ""),
        ("'\"true\"'", "true"),
        ("'\"2\"'", "2"),
        ("'{\"a\": [1]}'", {"a": [1]}),
        ("'[\"a\"]'", ["a"]),
        ('"1e3"', 1000.0),
        ('"nan"', "nan"),
    ],
)
def test_velero_s_values_are_what_they_look_like(written: str, meant: Any) -> None:
    """velero json_patch.go, addQuotes."""
    (rule,) = read(velero(f"patches: [{{operation: add, path: /spec/x, value: {written}}}]"))
    assert rule["patches"] == [{"op": "add", "path": "/spec/x", "value": meant}]


def test_velero_s_conditional_patches() -> None:
    text = velero(
        "patches: [{operation: test, path: /spec/replicas, value: '3'},"
        " {operation: replace, path: /spec/replicas, value: '1'}]"
    )
    assert after(text, workload("Deployment", "web", spec={"replicas": 3}))["spec"]["replicas"] == 1
    assert after(text, workload("Deployment", "web", spec={"replicas": 2}))["spec"]["replicas"] == 2
    text = velero(
        "mergePatches: [{patchData: 'metadata: {labels: {a: null, b: c}}'}]",
        "groupResource: '*.apps', matches: [{path: /spec/replicas, value: '3'}]",
    )
    labels = {"labels": {"a": "1"}}
    found = after(text, workload("Deployment", "web", metadata=labels, spec={"replicas": 3}))
    assert found["metadata"]["labels"] == {"b": "c"}
    found = after(text, workload("Deployment", "web", metadata=labels, spec={"replicas": 2}))
    assert found["metadata"]["labels"] == {"a": "1"}


def test_velero_s_strategic_patches() -> None:
    patch = '{"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "repo2/web"}]}}}}'
    found = after(velero(f"strategicPatches: [{{patchData: '{patch}'}}]"), workload("Deployment", "web"))
    assert found["spec"]["template"]["spec"]["containers"] == [{"name": "main", "image": "repo2/web"}]


def stork(*paths: str, resource: str = "apps/v1/Deployment", more: str = "", namespace: str = "shop") -> str:
    shown = "".join(f"\n    - {{{path}}}" for path in paths)
    return f"""
apiVersion: stork.libopenstorage.org/v1alpha1
kind: ResourceTransformation
metadata: {{name: t1, namespace: {namespace}}}
specs:
  transformSpecs:
  - resource: {resource}
    {more}
    paths:{shown}
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ('path: spec.replicas, value: "5", type: int, operation: add', {"replicas": 5}),
        ('path: spec.paused, value: "true", type: bool, operation: add', {"paused": True}),
        ("path: spec.a.b, value: x, type: string, operation: add", {"a": {"b": "x"}}),
        ("path: spec.replicas, value: '7', type: int, operation: modify", {"replicas": 7}),
        ('path: spec.list, value: "c,d", type: slice, operation: add', {"list": ["c", "d"]}),
        ('path: spec.list, value: "c,d", type: slice, operation: modify', {"list": ["a", "b", "c", "d"]}),
        ('path: spec.map, value: "k:v,l:w", type: keypair, operation: add', {"map": {"k": "v", "l": "w"}}),
        ('path: spec.map, value: "k:v", type: keypair, operation: modify', {"map": {"old": "1", "k": "v"}}),
        ("path: spec.map, operation: delete", None),
        ("path: spec.map.old, operation: delete", {"map": {}}),
        ("path: spec.absent, operation: delete", {}),
        (
            'path: "spec.ports[0].port", value: "81", type: int, operation: modify',
            {"ports": [{"port": 81}, {"port": 2}]},
        ),
        ('path: "spec.ports[1].port", operation: delete', {"ports": [{"port": 1}, {}]}),
        (
            'path: "spec.ports[0]", value: "a:b", type: keypair, operation: modify',
            {"ports": [{"port": 1, "a": "b"}, {"port": 2}]},
        ),
    ],
)
def test_stork_s_operations_do_what_they_did_there(path: str, expected: Object | None) -> None:
    """stork pkg/resourcecollector/resourcetransformation.go; numbers and booleans are such, which Stork made texts."""
    spec = {"list": ["a", "b"], "map": {"old": "1"}, "replicas": 1, "ports": [{"port": 1}, {"port": 2}]}
    obj = workload("Deployment", "web", spec=spec)
    found = after(stork(path), obj)["spec"]
    if expected is None:
        assert found == {key: value for key, value in obj["spec"].items() if key != "map"}
    else:
        assert found == {**obj["spec"], **expected}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_stork_s_rules_reach_workloads_here(kind: str) -> None:
    """Its fifth defect: the rules were silently not applied to kinds with a preparation of their own."""
    text = stork("path: metadata.labels.a, value: b, type: string, operation: add", resource=f"apps/v1/{kind}")
    assert after(text, workload(kind, "web"))["metadata"]["labels"] == {"a": "b"}


def test_stork_s_conditions() -> None:
    text = stork("path: data.a, value: b, operation: add", resource="/v1/ConfigMap", more="selectors: {app: web}")
    labels = {"labels": {"app": "web"}}
    assert after(text, make("ConfigMap", "c", metadata=labels))["data"] == {"a": "b"}
    for other in (
        make("ConfigMap", "c"),
        make("ConfigMap", "c", "cms", metadata=labels),
        make("Secret", "c", metadata=labels),
    ):
        assert after(text, other) == other


def test_the_order_of_stork_s_paths_is_kept() -> None:
    text = stork(
        'path: spec.list, value: "a", type: slice, operation: add',
        'path: spec.list, value: "b", type: slice, operation: modify',
        'path: spec.list, value: "c", type: slice, operation: add',
        'path: spec.list, value: "d", type: slice, operation: modify',
    )
    assert after(text, workload("Deployment", "web"))["spec"]["list"] == ["c", "d"]


def test_ours_is_read_as_a_list_and_under_its_name() -> None:
    mine = [{"conditions": {"kinds": ["secrets"]}, "patches": [{"op": "remove", "path": "/data"}]}]
    assert read(yaml.safe_dump(mine)) == read(yaml.safe_dump({"rules": mine})) == mine


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no rule in the text."),
        ("[]", "There is no rule in the text."),
        ("a: [", "The text cannot be read in line 1"),
        ("text", "The text must be a mapping of names to values, not a text."),
        ("kind: Deployment", "These are no rules that are known here"),
        ("[1]", "A rule must be a mapping"),
        ("version: v2\nresourceModifierRules: []", "Resource modifiers of version v2 are not known"),
        (velero("patches: []", "namespaces: [a]"), "Resource modifier 1: groupResource is missing"),
        (velero("patches: []", "groupResource: x, nameRegex: y"), "nameRegex: a condition has no such field"),
        (velero("patches: [{operation: add, path: /a, value: '{a'}]"), "begins like JSON and is none"),
        (velero("mergePatches: [{patchData: '[1]'}]"), "The patchData of mergePatches must be a mapping"),
        (yaml.safe_dump(make("ConfigMap", "c", data={"a": "x", "b": "y"})), "this one has 2"),
        (stork("path: spec.a, value: x, type: int, operation: add"), "spec.a: 'x' is no whole number."),
        (stork("path: spec.a, value: x, type: bool, operation: add"), "neither true nor false"),
        (stork("path: spec.a, value: x, type: keypair, operation: add"), "key:value"),
        (stork("path: spec.a, value: x, type: map, operation: add"), "there is no type 'map'"),
        (stork("path: spec.a, value: x, operation: jsonpatch"), "there is no operation 'jsonpatch'"),
        (stork("value: x, operation: add"), "The path is missing."),
        (stork("path: a, operation: delete", resource="Deployment"), "not of the form group/version/Kind"),
        ("a: &a [1]\nb: *a", "YAML aliases"),
        ("x" * 200_001, "at most 200000 are read"),
        ("!!python/object:os.system {}", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(RuleError) as refused:
        read(text)
    assert said in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RuleError):
        read(text)
