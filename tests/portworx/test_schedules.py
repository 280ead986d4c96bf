"""Policies, schedules, rules and actions of Stork as values: manifests, readings and tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.portworx import actions, policies, rules, schedules, tables
from clusters.portworx.actions import Kind
from clusters.portworx.migration import MigrationSpec
from clusters.portworx.policies import Policy, PolicyError
from clusters.portworx.rules import Action, RuleError

SPEC = MigrationSpec(cluster_pair="pxpair", namespaces=("cms",), start_applications=False)


@pytest.mark.parametrize(
    ("policy", "expected", "columns"),
    [
        (Policy(interval_minutes=30), {"interval": {"intervalMinutes": 30}}, ("30", "N/A", "N/A", "N/A")),
        (Policy(daily="12:00am"), {"daily": {"time": "12:00am"}}, ("N/A", "12:00am", "N/A", "N/A")),
        (
            Policy(weekly_day="Sunday", weekly="12:00am"),
            {"weekly": {"day": "Sunday", "time": "12:00am"}},
            ("N/A", "N/A", "Sunday@12:00am", "N/A"),
        ),
        (
            Policy(monthly_date=15, monthly="12:00am"),
            {"monthly": {"date": 15, "time": "12:00am"}},
            ("N/A", "N/A", "N/A", "15@12:00am"),
        ),
    ],
)
def test_a_policy_is_written_and_shown_as_storkctl_does(policy: Policy, expected: Any, columns: Any) -> None:
    made = policies.manifest("p", policy)
    assert (made["kind"], made["policy"]) == ("SchedulePolicy", expected)
    assert Policy.of(made) == policy
    assert policy.columns() == columns
    assert policies.manifest("p", policy, namespace="cms")["kind"] == "NamespacedSchedulePolicy"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Policy(), "no time at all"),
        (Policy(interval_minutes=-1), r"Invalid intervalMinutes \(-1\) in Interval policy"),
        (Policy(daily="25:00"), r"Invalid time \(25:00\) in Daily policy"),
        (Policy(weekly_day="Someday", weekly="1:00PM"), r"Invalid day of the week \(Someday\) in Weekly policy"),
        (Policy(weekly="1:00PM"), r"Invalid day of the week \(\) in Weekly policy"),
        (Policy(monthly_date=32, monthly="1:00PM"), r"Invalid date of the month \(32\) in Monthly policy"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_storks_words(policy: Policy, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        policies.manifest("p", policy)


def test_a_schedule_and_its_runs_are_read_newest_first() -> None:
    made = schedules.manifest("sched1", "cms", SPEC, policy="each-hour")
    made["status"] = {
        "items": {
            "Interval": [
                {
                    "name": "sched1-interval-1",
                    "creationTimestamp": "2026-11-23T05:00:00Z",
                    "finishTimestamp": "2026-11-23T05:01:12Z",
                    "status": "Successful",
                },
                {
                    "name": "sched1-interval-2",
                    "creationTimestamp": "2026-11-23T06:00:00Z",
                    "finishTimestamp": "2026-11-23T06:01:00Z",
                    "status": "PartialSuccess",
                },
            ]
        }
    }
    found = schedules.read(made)
    assert [run.name for run in found.runs] == ["sched1-interval-2", "sched1-interval-1"]
    assert found.spec == SPEC
    assert (found.suspended, found.auto_suspend, found.is_static_copy) == (False, True, False)
    # A partial success is none for storkctl.
    assert schedules.rows([made]) == [("sched1", "each-hour", "pxpair", "false", "23 Nov 26 05:01 UTC", "1m12s")]
    columns = ("NAME", "POLICYNAME", "CLUSTERPAIR", "SUSPEND", "LAST-SUCCESS-TIME", "LAST-SUCCESS-DURATION")
    assert tables.table(columns, schedules.rows([made])).startswith("NAME     POLICYNAME   CLUSTERPAIR   SUSPEND")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(spec=anything, status=anything, items=anything)
def test_no_shape_of_a_schedule_makes_reading_fail(spec: Any, status: Any, items: Any) -> None:
    for each in (status, {"items": items}, {"items": {"Interval": items}}):
        schedules.read({"metadata": {"name": "s"}, "spec": spec, "status": each})
    Policy.of({"policy": spec})


def test_a_rule_holds_its_commands() -> None:
    commands = [
        Action(selector={"app": "mysql"}, command="mysql -e 'FLUSH TABLES'", container="mysql", single_pod=True)
    ]
    made = rules.manifest("flush", "cms", commands)
    assert made["rules"] == [
        {
            "podSelector": {"app": "mysql"},
            "actions": [{"type": "command", "value": "mysql -e 'FLUSH TABLES'", "runInSinglePod": True}],
            "container": "mysql",
        }
    ]
    assert rules.read(made) == commands


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ([], "at least one command"),
        ([Action(selector={}, command="sync")], "at least one label"),
        ([Action(selector={"app": "a"}, command=" ")], "which command"),
        ([Action(selector={"app": "a"}, command="sync", background=True)], "WAIT_CMD"),
    ],
)
def test_a_rule_that_cannot_run_is_refused(commands: list[Action], said: str) -> None:
    with pytest.raises(RuleError, match=said):
        rules.manifest("r", "cms", commands)


def test_a_failover_is_named_and_shown_as_storkctl_does() -> None:
    name = actions.name_for(Kind.FAILOVER, "sched1", datetime(2026, 11, 23, 5, 21, 45, tzinfo=UTC))
    assert name == "failover-sched1-2026-11-23-052145"
    made = actions.manifest(Kind.FAILOVER, name, "cms", "sched1", namespaces=["cms"], skip_source=True)
    assert made["spec"] == {
        "actionType": "failover",
        "actionParameter": {
            "failoverParameter": {
                "failoverNamespaces": ["cms"],
                "migrationScheduleReference": "sched1",
                "skipSourceOperations": True,
            }
        },
    }
    summary = {"failoverSummary": [{"namespace": "cms", "status": "Successful"}, {"namespace": "b", "status": ""}]}
    made["status"] = {"stage": "LastMileMigration", "status": "In-Progress", "summary": summary}
    found = actions.read(made)
    assert found is not None
    assert found.kind.stage(found.stage) == "Last Mile Migration (from source -> destination)"
    assert (found.schedule, found.info, found.is_over) == ("sched1", "Scaled up Apps in : 1/2 namespaces", False)
    assert actions.read({"spec": {"actionType": "nearsyncFailover"}}) is None
