"""Whether an object that is there says what ours says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources.compare import differing_fields

scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "a", "b"]))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("wanted", "present", "differing"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 1}}, []),
        ({"spec": {"a": 1}}, {"spec": {"a": 1, "default": 2}}, []),
        ({"spec": {"a": 1}}, {"spec": {"a": 2}}, ["spec.a"]),
        ({"spec": {"a": 1}}, {"spec": {}}, ["spec.a"]),
        ({"spec": {"a": 1}}, {"spec": None}, ["spec"]),
        ({"spec": {"a": 1}}, {}, ["spec"]),
        ({"spec": {"a": 1}}, {"spec": [1]}, ["spec"]),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "protocol": "TCP"}]}, []),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80}, {"port": 81}]}, ["ports"]),
        ({"ports": [{"port": 80}, {"port": 81}]}, {"ports": [{"port": 80}]}, ["ports"]),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            {"ports": [{"port": 81}, {"port": 80}]},
            ["ports[0].port", "ports[1].port"],
        ),
        ({"ports": [{"port": 80}]}, {}, ["ports"]),
        ({"a": [], "b": {}, "c": "", "d": None, "e": False, "f": 0}, {}, []),
        ({"a": False}, {"a": True}, ["a"]),
        ({"a": True}, {}, ["a"]),
        ({"a": "1"}, {"a": 1}, ["a"]),
        ({"metadata": {"labels": {"a": "1"}, "annotations": {"b": "1"}, "name": "c"}}, {"metadata": {"name": "c"}}, []),
        ({"spec": {"metadata": {"labels": {"a": "1"}}}}, {"spec": {"metadata": {}}}, ["spec.metadata.labels"]),
    ],
)
def test_what_ours_says_has_to_be_there(wanted: Any, present: Any, differing: list[str]) -> None:
    assert differing_fields(wanted, present) == differing


@given(values)
def test_everything_says_what_it_says(value: Any) -> None:
    assert differing_fields(value, value) == []


@given(st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("xyz"), values))
def test_what_only_the_other_one_has_is_no_difference(wanted: Any, more: Any) -> None:
    assert differing_fields(wanted, {**wanted, **more}) == []


@given(values, values)
def test_no_two_shapes_make_it_fail(wanted: Any, present: Any) -> None:
    assert all(isinstance(path, str) for path in differing_fields(wanted, present))
