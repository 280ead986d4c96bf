"""What is applied before what."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from migrations_app.resources.order import RANKS, ordered, rank, ranks
from tests.resources.objects import make

CART = {"apiVersion": "example.com/v1"}
WORKLOADS = ("ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "DeploymentConfig", "Job", "CronJob")
BEFORE_WORKLOADS = (
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "Secret",
    "ConfigMap",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Service",
)
AFTER_WORKLOADS = ("HorizontalPodAutoscaler", "PodDisruptionBudget", "Route", "Ingress")
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_what_pods_need_comes_before_workloads_and_what_acts_on_them_after(workload: str) -> None:
    kinds = [*WEBHOOKS, *AFTER_WORKLOADS, workload, *reversed(BEFORE_WORKLOADS)]
    found = [obj["kind"] for obj in ordered(make(kind, "a") for kind in kinds)]
    place = found.index(workload)
    assert set(found[:place]) == set(BEFORE_WORKLOADS)
    assert set(found[place + 1 :]) == {*AFTER_WORKLOADS, *WEBHOOKS}
    assert set(found[-2:]) == set(WEBHOOKS)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("CustomResourceDefinition", "Namespace"),
        ("Namespace", "ServiceAccount"),
        ("ServiceAccount", "RoleBinding"),
        ("Role", "RoleBinding"),
        ("ClusterRole", "ClusterRoleBinding"),
        ("ServiceAccount", "ClusterRoleBinding"),
        ("Service", "Endpoints"),
        ("PersistentVolumeClaim", "StatefulSet"),
        ("Ingress", "MutatingWebhookConfiguration"),
    ],
)
def test_one_comes_before_the_other(first: str, then: str) -> None:
    assert rank(make(first, "z")) < rank(make(then, "a"))


def test_a_custom_resource_comes_after_its_definition_and_after_what_it_may_name() -> None:
    cart = make("Cart", "a", **CART)
    for kind in BEFORE_WORKLOADS:
        assert rank(make(kind, "z")) < rank(cart)
    assert rank(cart) < rank(make("Route", "a"))


def test_the_same_set_always_comes_in_the_same_order() -> None:
    objects = [make(kind, name, space) for kind in RANKS for name in "ba" for space in ("one", "two")]
    expected = ordered(objects)
    for seed in range(5):
        random.Random(seed).shuffle(objects)
        assert ordered(objects) == expected
    secrets = [
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in expected if each["kind"] == "Secret"
    ]
    assert secrets == [("one", "a"), ("one", "b"), ("two", "a"), ("two", "b")]


def test_ranks_hold_every_object_once_and_mix_no_kinds_that_need_each_other() -> None:
    objects = [
        make(kind, name) for kind in (*BEFORE_WORKLOADS, *WORKLOADS, *AFTER_WORKLOADS, *WEBHOOKS) for name in "ba"
    ]
    groups = ranks(objects)
    assert [each for group in groups for each in group] == ordered(objects)
    assert [{rank(each) for each in group} for group in groups] == [{rank(group[0])} for group in groups]
    assert all(rank(one[0]) < rank(two[0]) for one, two in pairwise(groups))
    assert ranks([]) == []
