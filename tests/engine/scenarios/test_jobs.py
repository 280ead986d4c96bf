"""CronJobs and Jobs: what has ended stays behind, what is still to be done goes along."""

from __future__ import annotations

from tests.engine.conftest import eventually
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, workload

BATCH = "batch-work"


def job(name: str, *command: str, **spec: object) -> Object:
    """A Job of a small shell that runs the command, or else sleeps for longer than any test."""
    found = workload("Job", name, BATCH, spec=spec)
    container: Object = {"name": "main", "image": "docker.io/library/busybox:1.38"}
    container["command"] = list(command or ("sleep", "600"))
    # The first process of a container does not heed SIGTERM unless it says so.
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    found["spec"]["template"]["spec"] = pod
    return found


def cron_job(name: str, **spec: object) -> Object:
    # In no test's time.
    found = workload("CronJob", name, BATCH, spec={"schedule": "0 3 29 2 *", "timeZone": "Europe/Vienna", **spec})
    found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    return found


def plant(scenario: Scenario) -> None:
    scenario.plant(
        make("ConfigMap", "settings", BATCH, data={"a": "1"}),
        job("finished", "sh", "-c", "echo done"),
        job("failed", "sh", "-c", "exit 3", backoffLimit=0),
        job("running"),
        job("suspended", suspend=True, parallelism=2, completions=4),
        cron_job("nightly", concurrencyPolicy="Forbid"),
        cron_job("paused", suspend=True),
    )
    nightly = scenario.dev.get("cronjobs.batch", "nightly", BATCH)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": nightly["metadata"]["uid"]}
    # As the CronJob made it at its last time.
    of_cron_job = job("nightly-29401620")
    of_cron_job["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    scenario.plant(of_cron_job)
    for name, condition in (("finished", "Complete"), ("failed", "Failed"), ("suspended", "Suspended")):
        scenario.until_condition("jobs.batch", name, BATCH, {condition: "True"})
    eventually(lambda: scenario.dev.get("jobs.batch", "running", BATCH)["status"].get("ready") == 1)


def test_what_is_to_be_done_goes_along_and_what_is_done_does_not(scenario: Scenario) -> None:
    plant(scenario)
    scenario.migrate(BATCH, include_volumes=False)

    assert scenario.names_there("jobs.batch", BATCH) == {"running", "suspended"}
    source = scenario.dev.get("jobs.batch", "running", BATCH)
    running = scenario.there("jobs.batch", "running", BATCH)
    assert running["status"]["active"] == 1
    uid = running["metadata"]["uid"]
    assert uid != source["metadata"]["uid"]
    # It selects the pods of its own uid, and finds one.
    assert running["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}
    assert len(scenario.ready_pods_there(BATCH, f"batch.kubernetes.io/controller-uid={uid}")) == 1
    suspended = scenario.there("jobs.batch", "suspended", BATCH)
    assert (suspended["spec"]["suspend"], suspended["spec"]["completions"]) == (True, 4)
    assert not suspended["status"].get("active")
    nightly = scenario.there("cronjobs.batch", "nightly", BATCH)
    assert nightly["spec"] == scenario.dev.get("cronjobs.batch", "nightly", BATCH)["spec"]
    assert not nightly["spec"]["suspend"]
    assert scenario.there("cronjobs.batch", "paused", BATCH)["spec"]["suspend"]
    # On the source all is as it was.
    names = {each["metadata"]["name"] for each in scenario.dev.list("jobs.batch", BATCH)}
    assert names == {"finished", "failed", "running", "suspended", "nightly-29401620"}
    assert source["status"]["active"] == 1


def test_cron_jobs_that_come_stopped_are_suspended_and_say_what_they_were(scenario: Scenario) -> None:
    plant(scenario)
    scenario.migrate(BATCH, include_volumes=False, start_applications=False)

    for name, was in (("nightly", "false"), ("paused", "true")):
        found = scenario.there("cronjobs.batch", name, BATCH)
        assert found["spec"]["suspend"]
        assert found["metadata"]["annotations"]["kubemotion.io/was-suspended"] == was
    assert not scenario.dev.get("cronjobs.batch", "nightly", BATCH)["spec"]["suspend"]
