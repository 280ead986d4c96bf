"""Which objects go along: selectors in the syntax of `kubectl -l`, kinds, and single objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.cluster import selectors
from migrations_app.resources.selection import Chooser, LabelSelector, SelectorError
from migrations_app.resources.spec import Selection
from tests.resources.objects import Object, make


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("", {}, True),
        ("app=web", {"app": "web"}, True),
        ("app=web", {}, False),
        ("app==web", {"app": "web"}, True),
        ("app = web , tier != back", {"app": "web"}, True),
        ("app!=web", {"app": "web"}, False),
        ("app!=web", {}, True),
        ("app=", {"app": ""}, True),
        ("app=,tier", {"app": "", "tier": "x"}, True),
        ("app in (web, api)", {"app": "api"}, True),
        ("app in (web,api)", {"app": "db"}, False),
        ("app in (web,api)", {}, False),
        ("app in (web,)", {"app": ""}, True),
        ("app notin (web)", {}, True),
        ("app notin (web)", {"app": "web"}, False),
        ("app notin (web,api),tier in (a)", {"app": "db", "tier": "a"}, True),
        ("tier", {"tier": ""}, True),
        ("tier", {}, False),
        ("!tier", {}, True),
        ("! tier", {"tier": "x"}, False),
        ("app.kubernetes.io/name=web", {"app.kubernetes.io/name": "web"}, True),
        ("in in (in)", {"in": "in"}, True),
        ("size>3", {"size": "4"}, True),
        ("size>3", {"size": "3"}, False),
        ("size<3", {"size": "-1"}, True),
        ("size>3", {"size": "large"}, False),
        ("size>3", {}, False),
    ],
)
def test_labels_are_selected_as_by_kubernetes(text: str, labels: dict[str, str], selected: bool) -> None:
    """apimachinery pkg/labels/selector_test.go."""
    assert LabelSelector.parse(text).matches(labels) is selected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app web", "'app' is followed by 'web'"),
        ("app in web", "do not stand in parentheses"),
        ("app in (web", "not closed by a parenthesis"),
        ("app in (a b)", "not closed by a parenthesis"),
        ("!", "the name of a label is missing"),
        ("=web", "'=' is no name of a label"),
        ("app=web=api", "'=' stands where a comma"),
        ("app=@", "'@' cannot be the value"),
        ("a,,b", "',' is no name of a label"),
        ("size>x", "'x' is none"),
        ("-app=web", "'-app' is no name of a label"),
        (f"app={'x' * 64}", "cannot be the value"),
    ],
)
def test_what_is_no_selector_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(SelectorError) as refused:
        LabelSelector.parse(text)
    assert said in str(refused.value)
    assert text in str(refused.value)


WORDS = st.sampled_from(["app", "tier", "a-b", "x.y/z"])
VALUES = st.sampled_from(["web", "1", "A_b", ""])
REQUIREMENTS = st.one_of(
    WORDS,
    WORDS.map("!{}".format),
    st.builds("{}{}{}".format, WORDS, st.sampled_from(["=", "==", "!="]), VALUES),
    st.builds("{} {} ({})".format, WORDS, st.sampled_from(["in", "notin"]), st.lists(VALUES, min_size=1).map(",".join)),
)


@given(st.lists(REQUIREMENTS, max_size=3).map(",".join), st.dictionaries(WORDS, VALUES))
def test_it_selects_what_an_api_server_would(text: str, labels: dict[str, str]) -> None:
    """The simulated one's parser is a different program, pinned by recordings of a real one."""
    expected = selectors.labels(text)
    assert LabelSelector.parse(text).matches(labels) is (expected is None or expected(labels))


@pytest.mark.parametrize(
    ("operator", "values", "labels", "selected"),
    [
        ("In", ["a"], {"x": "a"}, True),
        ("NotIn", ["a"], {}, True),
        ("Exists", None, {"x": ""}, True),
        ("DoesNotExist", None, {"x": ""}, False),
    ],
)
def test_selectors_of_api_objects_are_understood_too(
    operator: str, values: list[str] | None, labels: dict[str, str], selected: bool
) -> None:
    expression = {"key": "x", "operator": operator, "values": values}
    assert LabelSelector.from_object({"matchExpressions": [expression]}).matches(labels) is selected
    with_labels = {"matchLabels": {"app": "web"}, "matchExpressions": [expression]}
    assert LabelSelector.from_object(with_labels).matches({**labels, "app": "web"}) is selected
    assert not LabelSelector.from_object(with_labels).matches(labels)


def test_an_operator_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SelectorError, match="no operator 'Is'"):
        LabelSelector.from_object({"matchExpressions": [{"key": "x", "operator": "Is"}]})


WEB = make("Secret", "web", "shop", metadata={"labels": {"app": "web"}})


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        (Selection(), ""),
        (Selection(label_selector="app=web"), ""),
        (Selection(label_selector="app=api"), "is not selected by `app=api`"),
        (Selection(exclude_selectors=("tier=a", "app=web")), "is left out by the exclude selector `app=web`"),
        (Selection(include_kinds=("secrets",)), ""),
        (Selection(include_kinds=("*",)), ""),
        (Selection(include_kinds=("secrets.example.com",)), "is not of the kinds that were chosen"),
        (Selection(exclude_kinds=("secrets",)), "is left out with all secrets"),
        (Selection(exclude_kinds=("sec*",)), "is left out with all secrets"),
        (Selection(exclude_kinds=("*",), include_objects=("secrets/shop/web",)), ""),
        (Selection(label_selector="app=api", include_objects=("secrets/shop/web",)), ""),
        (Selection(exclude_selectors=("app",), include_objects=("secrets/shop/web",)), ""),
        (Selection(include_kinds=("configmaps",), include_objects=("secrets/shop/other",)), "is not of the kinds"),
        (Selection(exclude_objects=("secrets/shop/web",)), "is left out by name"),
        (
            Selection(include_objects=("secrets/shop/web",), exclude_objects=("secrets/shop/web",)),
            "is left out by name",
        ),
        (Selection(exclude_objects=("secrets/other/web",)), ""),
    ],
)
def test_a_name_decides_before_kinds_and_labels_and_exclusion_before_inclusion(
    selection: Selection, reason: str
) -> None:
    found = Chooser(selection).why_not("secrets", WEB)
    assert found.startswith(reason) if reason else found == ""


@pytest.mark.parametrize(
    ("selection", "stays"),
    [
        (Selection(label_selector="app=web"), False),
        (Selection(include_kinds=("deployments.apps",)), False),
        (Selection(exclude_kinds=("priorityclasses.scheduling.k8s.io",)), True),
        (Selection(exclude_kinds=("*.k8s.io",)), True),
        (Selection(exclude_objects=("priorityclasses.scheduling.k8s.io//fast",)), True),
    ],
)
def test_what_others_need_is_only_kept_back_by_what_excludes(selection: Selection, stays: bool) -> None:
    obj = make("PriorityClass", "fast")
    assert bool(Chooser(selection).why_not("priorityclasses.scheduling.k8s.io", obj, needed=True)) is stays


@pytest.mark.parametrize(
    "selection",
    [
        Selection(label_selector="a b"),
        Selection(exclude_selectors=("a b",)),
        Selection(exclude_selectors=("",)),
        Selection(include_kinds=("Deployment",)),
        Selection(exclude_kinds=("apps/deployments",)),
        Selection(include_objects=("shop/web",)),
        Selection(exclude_objects=("secrets/shop/",)),
    ],
)
def test_a_selection_that_cannot_be_read_is_refused_at_once(selection: Selection) -> None:
    with pytest.raises(SelectorError):
        Chooser(selection)


def test_an_object_outside_of_namespaces_is_named_with_an_empty_one() -> None:
    obj: Object = make("ClusterRole", "reader")
    name = "clusterroles.rbac.authorization.k8s.io//reader"
    assert Chooser(Selection(exclude_objects=(name,))).why_not("clusterroles.rbac.authorization.k8s.io", obj)
