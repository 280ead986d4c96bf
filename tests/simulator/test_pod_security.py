"""Namespaces hold pods to their Pod Security level, and controllers say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.cluster.api import APIError
from demo.cluster.pod_security import ENFORCE, violation
from tests.simulator.inside import cluster, pod, reasons, until

Object = dict[str, Any]
RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def namespace(level: str) -> Object:
    return {"metadata": {"name": "n", "labels": {ENFORCE: level}}}


def spec(container: Object | None = None, pod: Object | None = None, **more: Any) -> Object:
    return {"containers": [{"name": "c", "securityContext": container or {}}], "securityContext": pod or {}, **more}


def test_a_pod_as_restricted_asks_for_is_let_in() -> None:
    assert violation(namespace("restricted"), spec(RESTRICTED, RESTRICTED_POD)) == ""


def test_an_ordinary_pod_is_told_everything_that_restricted_asks_for() -> None:
    assert violation(namespace("restricted"), spec()) == (
        'violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )


@pytest.mark.parametrize(
    ("level", "given", "words"),
    [
        ("restricted", spec(RESTRICTED, {**RESTRICTED_POD, "runAsUser": 0}), "runAsUser=0"),
        (
            "restricted",
            spec({**RESTRICTED, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, RESTRICTED_POD),
            'must not include "CHOWN"',
        ),
        (
            "restricted",
            spec(RESTRICTED, RESTRICTED_POD, volumes=[{"name": "v", "nfs": {}}]),
            'uses restricted volume type "nfs"',
        ),
        ("baseline", spec({"capabilities": {"add": ["DAC_READ_SEARCH"]}}), 'must not include "DAC_READ_SEARCH"'),
        ("baseline", spec({"privileged": True}), "must not set securityContext.privileged=true"),
        ("baseline", spec(hostNetwork=True), "host namespaces (hostNetwork=true)"),
        ("baseline", spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    ],
)
def test_what_a_level_keeps_out(level: str, given: Object, words: str) -> None:
    assert words in violation(namespace(level), given)
    assert violation(namespace("privileged"), given) == ""
    assert violation({"metadata": {"name": "n"}}, given) == ""


def test_baseline_lets_in_root_with_its_capabilities() -> None:
    given = spec({"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "MKNOD"]}}, {"runAsUser": 0})
    assert violation(namespace("baseline"), given) == ""


async def test_the_api_refuses_such_pods_and_a_jobs_controller_says_why(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        found = api.get("namespaces", None, "default")
        found["metadata"].setdefault("labels", {})[ENFORCE] = "restricted"
        api.update("namespaces", found)
        with pytest.raises(APIError, match='pods "p" is forbidden: violates PodSecurity "restricted:latest"'):
            api.create("pods", pod("p"))
        template = {"spec": pod("p")["spec"]}
        api.create("jobs.batch", {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template}})
        await until(lambda: "FailedCreate" in reasons(api, "j"))
        assert api.list("pods", "default") == []
