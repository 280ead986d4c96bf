"""What holds for any object, however odd its shape."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources.marks import (
    MIGRATION_LABEL,
    REPLICAS_ANNOTATION,
    SOURCE_ANNOTATION,
    SUSPENDED_ANNOTATION,
)
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import FOREIGN_ANNOTATIONS, RULES, SERVER_METADATA, Options, transformed
from tests.resources.objects import Object, pod_spec

SHOP = "shop"
letters = st.text(alphabet="ab-é/", min_size=1, max_size=4)
texts = st.one_of(st.sampled_from(["None", "gp2", "standard", "true", "", SHOP, "web-token-x"]), letters)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 40000), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(letters, inner, max_size=3)),
    max_leaves=6,
)
annotation_names = st.one_of(
    st.sampled_from([*FOREIGN_ANNOTATIONS, REPLICAS_ANNOTATION, SUSPENDED_ANNOTATION, SOURCE_ANNOTATION]),
    letters,
)
label_names = st.one_of(st.sampled_from([MIGRATION_LABEL, "job-name", "app"]), letters)
types = st.sampled_from([*RULES, ("example.com", "Cart"), ("", "ConfigMap"), ("example.com", "Service")])
option_sets = st.builds(
    Options,
    migration_id=st.sampled_from(["m1", "m2", ""]),
    source=st.sampled_from(["dev", ""]),
    spec=st.builds(
        Spec,
        start_applications=st.booleans(),
        storage_class_mapping=st.sampled_from([{}, {"gp2": "standard", "standard": "gold", "": "gp2"}]),
        namespaces=st.sampled_from([(), ("shop",)]),
    ),
)


# One of each shape that rules look into, complete, so that what is put in its place is met.
POD = pod_spec(
    nodeName="worker-1",
    volumes=[{"name": "s", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "gp2"}}}}],
)
TEMPLATE = {"metadata": {"creationTimestamp": None, "labels": {"job-name": "j", "app": "web"}}, "spec": POD}
SHAPES: dict[str, Object] = {
    "Service": {"spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}},
    "ServiceAccount": {"secrets": [{"name": "web-token-x"}], "imagePullSecrets": [{"name": "mine"}]},
    "StatefulSet": {
        "spec": {
            "replicas": 2,
            "template": TEMPLATE,
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"storageClassName": "gp2"}, "status": {}}],
        }
    },
    "Job": {"spec": {"manualSelector": False, "selector": {"matchLabels": {}}, "template": TEMPLATE}},
    "CronJob": {"spec": {"suspend": False, "jobTemplate": {"metadata": {}, "spec": {"template": TEMPLATE}}}},
    "CustomResourceDefinition": {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "QQ=="}}}}},
    "Route": {"spec": {"host": "web.example.com"}},
    "ClusterRoleBinding": {"subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": SHOP}]},
}


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """An object of some kind, with random metadata, and anything at all put or removed somewhere in it."""
    group, kind = draw(types)
    metadata: Object = {"name": draw(st.sampled_from(["web", "c"])), "namespace": SHOP}
    for field in draw(st.lists(st.sampled_from(SERVER_METADATA), max_size=4, unique=True)):
        metadata[field] = draw(scalars)
    if draw(st.booleans()):
        metadata["labels"] = draw(st.one_of(st.none(), st.dictionaries(label_names, texts, max_size=3)))
    if draw(st.booleans()):
        metadata["annotations"] = draw(st.one_of(st.none(), st.dictionaries(annotation_names, texts, max_size=3)))
    shape = SHAPES.get(kind, {"spec": {"replicas": 3, "template": TEMPLATE}})
    content = {"status": {"phase": "x"}, "data": {"a": "1"}, **copy.deepcopy(shape)}
    for _time in range(draw(st.integers(0, 2))):
        _alter(content, draw)
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata, **content}


def _alter(at: Any, draw: st.DrawFn) -> None:
    while isinstance(at, dict | list) and at:
        place = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not at[place] or not isinstance(at[place], dict | list) or draw(st.integers(0, 3)) == 0:
            if draw(st.booleans()):
                at[place] = draw(values)
            else:
                del at[place]
            return
        at = at[place]


@given(objects(), option_sets)
def test_transforming_twice_gives_what_once_gave_and_the_input_stays_as_it_is(obj: Object, options: Options) -> None:
    before = copy.deepcopy(obj)
    once = transformed(obj, options)
    assert obj == before
    assert transformed(once, options) == once
    assert transformed(before, options) == once


@given(objects(), option_sets)
def test_nothing_of_the_server_is_left(obj: Object, options: Options) -> None:
    found = transformed(obj, options)
    assert set(found["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert not set(found["metadata"]["annotations"]) & set(FOREIGN_ANNOTATIONS)
    assert "status" not in found


@given(objects(), option_sets)
def test_every_label_annotation_and_field_without_a_rule_is_kept(obj: Object, options: Options) -> None:
    found = transformed(obj, options)
    metadata = obj["metadata"]
    ours = {SOURCE_ANNOTATION, REPLICAS_ANNOTATION, SUSPENDED_ANNOTATION, *FOREIGN_ANNOTATIONS}
    for name, value in (metadata.get("annotations") or {}).items():
        assert name in ours or found["metadata"]["annotations"][name] == value
    for name, value in (metadata.get("labels") or {}).items():
        job = found["kind"] == "Job" and name == "job-name"
        assert name == MIGRATION_LABEL or job or found["metadata"]["labels"][name] == value
    touched = {"status", "spec", "metadata", "subjects", "secrets", "imagePullSecrets"}
    for name in set(obj) - touched:
        assert found[name] == obj[name]
    group = obj["apiVersion"].rpartition("/")[0]
    # Operators' own kinds hold claims and pods too, whose classes are mapped wherever they are.
    if (group, obj["kind"]) not in RULES and not options.spec.storage_class_mapping:
        assert {k: v for k, v in found.items() if k != "metadata"} == {
            k: v for k, v in obj.items() if k not in ("metadata", "status")
        }


@given(values, types, option_sets)
def test_no_shape_of_metadata_makes_it_fail(metadata: Any, type_: tuple[str, str], options: Options) -> None:
    group, kind = type_
    for obj in (
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": None},
        {
            "apiVersion": f"{group}/v1",
            "kind": kind,
            "metadata": {"name": "c", "labels": metadata, "annotations": metadata},
        },
    ):
        found = transformed(obj, options)
        assert found["metadata"]["labels"][MIGRATION_LABEL] == options.migration_id
        assert transformed(found, options) == found


@given(st.data())
def test_two_objects_do_not_share_anything(data: st.DataObject) -> None:
    """What somebody does to the result must not reach the source's object."""
    obj = data.draw(objects())
    before = copy.deepcopy(obj)
    _spoil(transformed(obj, Options("m1")))
    assert obj == before


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for each in value.values():
            _spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            _spoil(each)
        value.append("spoiled")
