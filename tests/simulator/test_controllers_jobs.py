"""Jobs of a simulated cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from demo.cluster.api import ClusterAPI
from tests.simulator.inside import BUSYBOX, Object, cluster, condition, gone, reasons, until

JOBS = "jobs.batch"


def job(name: str, script: str, *, policy: str = "Never", **spec: Any) -> Object:
    container = {"name": "c", "image": BUSYBOX, "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [container]}}
    body = {"backoffLimit": 1, **spec, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body}


def status(api: ClusterAPI, name: str) -> Object:
    return dict(api.get(JOBS, "default", name)["status"])


def is_true(api: ClusterAPI, name: str, kind: str) -> bool:
    return condition(api.get(JOBS, "default", name), kind).get("status") == "True"


def pods_of(api: ClusterAPI, name: str) -> list[Object]:
    return api.list("pods", "default", {"batch.kubernetes.io/job-name": name})


async def test_a_job_whose_pod_succeeds_is_complete(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("good", "echo done"))
        await until(lambda: is_true(api, "good", "Complete"))
        assert is_true(api, "good", "SuccessCriteriaMet")
        done = status(api, "good")
        assert (done["succeeded"], done["ready"], done["terminating"]) == (1, 0, 0)
        assert done.keys() >= {"startTime", "completionTime", "uncountedTerminatedPods"}
        assert "active" not in done
        assert sorted(reasons(api, "good")) == ["Completed", "SuccessfulCreate"]
        pod = pods_of(api, "good")[0]
        await until(lambda: "finalizers" not in pods_of(api, "good")[0]["metadata"])
        assert pod["metadata"]["ownerReferences"][0]["controller"] is True


async def test_a_job_gives_up_at_its_backoff_limit(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("bad", "exit 2"))
        await until(lambda: is_true(api, "bad", "Failed"))
        assert condition(api.get(JOBS, "default", "bad"), "Failed")["reason"] == "BackoffLimitExceeded"
        assert is_true(api, "bad", "FailureTarget")
        assert status(api, "bad")["failed"] == 2
        assert len(pods_of(api, "bad")) == 2
        assert "BackoffLimitExceeded" in reasons(api, "bad")


async def test_a_job_over_its_deadline_is_stopped(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("slow", "sleep 600", activeDeadlineSeconds=1))
        await until(lambda: is_true(api, "slow", "Failed"))
        assert condition(api.get(JOBS, "default", "slow"), "Failed")["reason"] == "DeadlineExceeded"
        assert status(api, "slow")["failed"] == 1
        await until(lambda: pods_of(api, "slow") == [])


async def test_a_finished_job_goes_after_its_time_to_live_with_its_pods(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("ttl", "true", ttlSecondsAfterFinished=1))
        await until(lambda: is_true(api, "ttl", "Complete"))
        await gone(api, JOBS, "default", "ttl")
        await until(lambda: pods_of(api, "ttl") == [])


async def test_a_suspended_job_starts_when_it_is_resumed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("later", "true", suspend=True))
        await until(lambda: is_true(api, "later", "Suspended"))
        assert pods_of(api, "later") == []
        api.patch(JOBS, "default", "later", {"spec": {"suspend": False}})
        await until(lambda: is_true(api, "later", "Complete"))
        assert not is_true(api, "later", "Suspended")


async def test_suspending_a_job_ends_its_pods_which_counts_neither_as_failure_nor_as_time(tmp_path: Path) -> None:
    """As the Job controller of v1.36 does: pods are let go of before they are deleted, and startTime is cleared."""
    rules = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [9]}}]}
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("on", "sleep 600", backoffLimit=0, activeDeadlineSeconds=600, podFailurePolicy=rules))
        seen: set[str] = set()
        for round_ in range(1, 4):
            await until(lambda: status(api, "on").get("ready") == 1)
            (pod,) = pods_of(api, "on")
            assert pod["metadata"]["name"] not in seen, "another pod after each pause"
            seen.add(pod["metadata"]["name"])
            assert "startTime" in status(api, "on")
            api.patch(JOBS, "default", "on", {"spec": {"suspend": True}})
            await until(lambda: is_true(api, "on", "Suspended"))
            await until(lambda: pods_of(api, "on") == [])
            held = condition(api.get(JOBS, "default", "on"), "Suspended")
            assert (held["reason"], held["message"]) == ("JobSuspended", "Job suspended")
            still = await until(lambda: status(api, "on") if not status(api, "on").get("terminating") else None)
            assert still.keys() & {"active", "startTime", "failed"} == set()
            api.patch(JOBS, "default", "on", {"spec": {"suspend": False}})
            await until(lambda: not is_true(api, "on", "Suspended"))
            resumed = condition(api.get(JOBS, "default", "on"), "Suspended")
            assert (resumed["status"], resumed["reason"], resumed["message"]) == ("False", "JobResumed", "Job resumed")
            assert status(api, "on")["startTime"] == resumed["lastTransitionTime"]
            told = reasons(api, "on")
            assert {"Suspended", "Resumed", "SuccessfulDelete"} <= set(told), round_
        assert not is_true(api, "on", "Failed")


async def test_a_resumed_job_waits_for_the_end_of_the_pods_that_it_had(tmp_path: Path) -> None:
    """Where a podFailurePolicy stands, a pod is replaced when it has ended: never two at the same data."""
    rules = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [9]}}]}
    body = job("slow", "sleep 600", podFailurePolicy=rules)
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2
    async with cluster(tmp_path) as api:
        api.create(JOBS, body)
        await until(lambda: status(api, "slow").get("ready") == 1)
        api.patch(JOBS, "default", "slow", {"spec": {"suspend": True}})
        await until(lambda: is_true(api, "slow", "Suspended"))
        api.patch(JOBS, "default", "slow", {"spec": {"suspend": False}})
        await until(lambda: not is_true(api, "slow", "Suspended"))
        assert len(pods_of(api, "slow")) == 1
        assert status(api, "slow")["terminating"] == 1
        await until(lambda: status(api, "slow").get("ready") == 1)
        assert [pod for pod in pods_of(api, "slow") if "deletionTimestamp" not in pod["metadata"]]


async def test_a_finished_job_is_not_suspended(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("done", "true"))
        await until(lambda: is_true(api, "done", "Complete"))
        before = status(api, "done")
        api.patch(JOBS, "default", "done", {"spec": {"suspend": True}})
        api.create(JOBS, job("later", "true"))
        await until(lambda: is_true(api, "later", "Complete"))
        assert status(api, "done") == before
        assert len(pods_of(api, "done")) == 1


async def test_an_exit_code_may_fail_a_job_at_once_or_not_count(tmp_path: Path) -> None:
    def rule(action: str, code: int) -> Object:
        return {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}

    async with cluster(tmp_path) as api:
        rules = {"rules": [rule("FailJob", 5)]}
        api.create(JOBS, job("strict", "exit 5", backoffLimit=6, podFailurePolicy=rules))
        await until(lambda: is_true(api, "strict", "Failed"))
        failed = condition(api.get(JOBS, "default", "strict"), "Failed")
        assert failed["reason"] == "PodFailurePolicy"
        assert failed["message"].endswith("failed with exit code 5 matching FailJob rule at index 0")
        assert len(pods_of(api, "strict")) == 1
        rules = {"rules": [rule("Ignore", 3)]}
        api.create(JOBS, job("patient", "exit 3", backoffLimit=0, podFailurePolicy=rules))
        await until(lambda: len(pods_of(api, "patient")) >= 2)
        assert not is_true(api, "patient", "Failed")


async def test_several_completions_run_side_by_side(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("many", "true", completions=5, parallelism=2))
        await until(lambda: is_true(api, "many", "Complete"))
        assert status(api, "many")["succeeded"] == 5
        assert len(pods_of(api, "many")) == 5


async def test_a_pod_that_somebody_deletes_is_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("robust", "sleep 600", backoffLimit=3))
        first = (await until(lambda: pods_of(api, "robust")))[0]["metadata"]["name"]
        await until(lambda: status(api, "robust").get("ready") == 1)
        api.delete("pods", "default", first)
        await gone(api, "pods", "default", first)
        await until(lambda: [pod for pod in pods_of(api, "robust") if pod["metadata"]["name"] != first])
        assert status(api, "robust")["failed"] == 1


async def test_a_deleted_job_takes_running_pods_along_or_leaves_them(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for name, propagation in (("all", "Background"), ("first", "Foreground"), ("alone", "Orphan")):
            api.create(JOBS, job(name, "sleep 600"))
            await until(lambda name=name: status(api, name).get("ready") == 1)
            api.delete(JOBS, "default", name, propagation=propagation)
            await gone(api, JOBS, "default", name)
        await until(lambda: pods_of(api, "all") == [] and pods_of(api, "first") == [])
        orphan = pods_of(api, "alone")[0]
        assert orphan["status"]["phase"] == "Running"
        assert "ownerReferences" not in orphan["metadata"]


async def test_restarts_inside_the_pod_count_as_failures(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(JOBS, job("stubborn", "exit 1", policy="OnFailure", backoffLimit=1))
        await until(lambda: is_true(api, "stubborn", "Failed"), seconds=20)
        assert condition(api.get(JOBS, "default", "stubborn"), "Failed")["reason"] == "BackoffLimitExceeded"
