"""With which power movers run: the rule by itself, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from migrations_app.engines.native import privileges
from migrations_app.engines.native.privileges import ENFORCE, Direction, decide

Object = dict[str, Any]
RESTRICTED = {ENFORCE: "restricted"}
RANGES = {privileges.UID_RANGE: "1000680000/10000", privileges.GROUP_RANGE: "1000690000-1000699999"}
# What the Pod Security level `baseline` lets pods add (kubernetes.io/docs/concepts/security/pod-security-standards).
IN_BASELINE = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
BOTH: list[Direction] = ["push", "pull"]


def namespace(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> Object:
    return {"metadata": {"name": "cms", "labels": labels, "annotations": annotations}}


def pod(container: Object | None = None, **context: Any) -> Object:
    return {"spec": {"securityContext": context, "containers": [{"securityContext": container}]}}


@pytest.mark.parametrize("direction", BOTH)
@pytest.mark.parametrize("labels", [None, {}, {ENFORCE: "privileged"}])
def test_an_open_namespace_gives_root_with_the_capabilities_needed(
    direction: Direction, labels: dict[str, str] | None
) -> None:
    power = decide(direction, namespace(labels), [pod(runAsUser=27)])
    assert (power.level, power.uid) == ("root", 0)
    capabilities = privileges.container_context(direction, power)["capabilities"]
    assert capabilities == {"drop": ["ALL"], "add": privileges.CAPABILITIES[direction]}
    assert "fsGroup" not in privileges.pod_context(power)
    assert privileges.what_is_lost(direction, power) == ""


@pytest.mark.parametrize("direction", BOTH)
def test_baseline_keeps_everything_with_what_it_lets_in(direction: Direction) -> None:
    power = decide(direction, namespace({ENFORCE: "baseline"}))
    assert power.keeps_everything
    added = privileges.container_context(direction, power)["capabilities"]["add"]
    assert "DAC_OVERRIDE" in added
    assert set(added) <= IN_BASELINE


@pytest.mark.parametrize("direction", BOTH)
def test_restricted_is_what_the_level_asks_for(direction: Direction) -> None:
    power = decide(direction, namespace(RESTRICTED), [pod(runAsUser=27, fsGroup=28)])
    context, container = privileges.pod_context(power), privileges.container_context(direction, power)
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 27
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    with translation.override("en"):
        power = decide(direction, namespace(RESTRICTED), [pod(runAsUser=27, fsGroup=28)])
        assert "user 27, because the namespace enforces" in privileges.what_is_lost(direction, power)


def test_the_sources_files_are_never_given_to_a_group() -> None:
    power = decide("push", namespace(RESTRICTED), [pod(runAsUser=27, fsGroup=28, supplementalGroups=[40])])
    context = privileges.pod_context(power)
    assert "fsGroup" not in context
    assert context["supplementalGroups"] == [28, 40]


def test_a_fresh_volume_is_given_to_the_applications_group() -> None:
    context = privileges.pod_context(decide("pull", namespace(RESTRICTED), [pod(runAsUser=27, fsGroup=28)]))
    assert (context["fsGroup"], context["fsGroupChangePolicy"]) == (28, "OnRootMismatch")


@pytest.mark.parametrize(
    ("annotations", "pods", "uid", "group"),
    [
        ({}, [pod({"runAsUser": 33}, runAsUser=27)], 33, 33),
        ({}, [pod({"runAsUser": 0}, runAsUser=0), pod(runAsUser=27)], 27, 27),
        (RANGES, [pod()], 1000680000, 1000690000),
        (RANGES, [pod(runAsUser=1000680007)], 1000680007, 1000690000),
        ({}, [], privileges.NOBODY, privileges.NOBODY),
    ],
)
def test_the_user_is_the_applications_or_the_namespaces(
    annotations: dict[str, str], pods: list[Object], uid: int, group: int
) -> None:
    power = decide("pull", namespace(RESTRICTED, annotations), pods)
    assert (power.uid, power.fs_group) == (uid, group)


LEVEL = "s0:c26,c5"


@pytest.mark.parametrize("labels", [{}, RESTRICTED])
@pytest.mark.parametrize("direction", BOTH)
def test_movers_have_the_selinux_level_of_the_namespace(direction: Direction, labels: dict[str, str]) -> None:
    """With another one, the kubelet would label the volume anew, and take it from the application that uses it."""
    power = decide(direction, namespace(labels, {privileges.SELINUX_LEVEL: LEVEL}))
    assert privileges.pod_context(power)["seLinuxOptions"] == {"level": LEVEL}
    assert "seLinuxOptions" not in privileges.pod_context(decide(direction, namespace(labels)))


def test_on_the_source_the_level_of_the_pods_that_use_it_comes_first() -> None:
    """On the destination theirs will be that of the namespace there."""
    given = namespace({}, {privileges.SELINUX_LEVEL: LEVEL}), [pod(seLinuxOptions={"level": "s0:c1,c2"})]
    assert decide("push", *given).selinux_level == "s0:c1,c2"
    assert decide("pull", *given).selinux_level == LEVEL
    assert decide("pull", namespace(), given[1]).selinux_level == "s0:c1,c2"


def test_openshift_without_a_permissive_scc_gives_no_root() -> None:
    power = decide("pull", namespace({ENFORCE: "privileged"}, RANGES), refuses_root=True)
    assert (power.level, power.uid) == ("restricted", 1000680000)
    assert "SecurityContextConstraints" in power.why


@pytest.mark.parametrize(
    ("user", "capabilities", "permissive"),
    [
        ("RunAsAny", ["*"], True),
        ("RunAsAny", None, False),
        ("MustRunAsRange", ["*"], False),
        ("RunAsAny", ["CHOWN"], False),
    ],
)
def test_constraints_are_permissive_when_they_let_in_root_and_all_capabilities(
    user: str, capabilities: list[str] | None, permissive: bool
) -> None:
    constraints = {"runAsUser": {"type": user}, "allowedCapabilities": capabilities, "volumes": ["*"]}
    assert privileges.is_permissive(constraints) is permissive
