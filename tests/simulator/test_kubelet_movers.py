"""The real mover in simulated pods: a volume goes from one cluster through the object store to the other."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

from demo import estate
from demo.cluster.server import ClusterHandle, running_clusters
from demo.s3 import RunningS3, running_s3
from demo.trees import differences
from tests.simulator.inside import MOVER, Object


def wait_for(cluster: ClusterHandle, name: str, *, seconds: float = 90) -> Object:
    """The Job, once it is complete or failed."""
    deadline = time.monotonic() + seconds
    while True:
        job = cluster.call(lambda api: api.get("jobs.batch", "cms", name))
        if any(each["type"] in ("Complete", "Failed") for each in job["status"].get("conditions", ())):
            return dict(job)
        assert time.monotonic() < deadline, (job["status"], cluster.call(lambda api: api.list("pods", "cms")))
        time.sleep(0.05)


def start(cluster: ClusterHandle, command: str, claim: str, s3: RunningS3, key: bytes) -> str:
    """Start a mover's Job on the claim, as the product does: credentials in a Secret."""
    name = f"kubemotion-{command}-{claim}"
    values = {
        "MOVER_S3_ENDPOINT": s3.endpoint,
        "MOVER_S3_REGION": s3.region,
        "MOVER_S3_BUCKET": s3.bucket,
        "MOVER_S3_PREFIX": f"kubemotion/test/{claim}",
        "MOVER_S3_PATH_STYLE": "true",
        "AWS_ACCESS_KEY_ID": s3.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.keys.secret_access_key,
        "MOVER_DATA_KEY": base64.b64encode(key).decode(),
    }
    data = {variable: base64.b64encode(value.encode()).decode() for variable, value in values.items()}
    secret = {"metadata": {"name": name, "namespace": "cms"}, "data": data}
    environment = [
        {"name": "MOVER_VOLUME", "value": f"cms/{claim}"},
        {"name": "MOVER_TERMINATION_LOG", "value": "/dev/termination-log"},
    ]
    container = {
        "name": "mover",
        "image": MOVER,
        "args": [command, "--path", "/data"],
        "env": environment,
        "envFrom": [{"secretRef": {"name": name}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    pod: Object = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    job = {"metadata": {"name": name, "namespace": "cms"}, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    cluster.call(lambda api: (api.create("secrets", secret), api.create("jobs.batch", job)))
    return name


def result(cluster: ClusterHandle, name: str) -> dict[str, Any]:
    """The mover's last word."""
    pod = cluster.call(lambda api: api.list("pods", "cms", {"job-name": name}))[0]
    message = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    return dict(json.loads(message))


def test_volumes_go_from_one_cluster_to_the_other(tmp_path: Path) -> None:
    key = os.urandom(32)
    with running_s3(tmp_path / "s3") as s3, running_clusters(tmp_path / "clusters") as clusters:
        for name, cluster in clusters.items():
            estate.plant_running(cluster, name, megabytes=5)
        dev, prod = clusters["dev"], clusters["prod"]
        prod.call(lambda api: api.create("namespaces", {"metadata": {"name": "cms"}}))
        classes = {"gp3": "gp3-csi", "efs-rwx": "efs-sc"}
        claims = dev.call(lambda api: api.list("persistentvolumeclaims", "cms"))
        for claim in claims:
            spec = {field: claim["spec"][field] for field in ("accessModes", "resources", "volumeMode")}
            spec["storageClassName"] = classes[claim["spec"]["storageClassName"]]
            copy = {"metadata": {"name": claim["metadata"]["name"], "namespace": "cms"}, "spec": spec}
            prod.call(lambda api, copy=copy: api.create("persistentvolumeclaims", copy))
        names = [claim["metadata"]["name"] for claim in claims]
        # Both sides at the same time: the puller follows the pusher.
        jobs = [
            (cluster, start(cluster, command, claim, s3, key))
            for claim in names
            for cluster, command in ((dev, "push"), (prod, "pull"))
        ]
        for cluster, job in jobs:
            conditions = {each["type"] for each in wait_for(cluster, job)["status"]["conditions"]}
            assert "Complete" in conditions, result(cluster, job)
        for claim in names:
            pushed = result(dev, f"kubemotion-push-{claim}")
            pulled = result(prod, f"kubemotion-pull-{claim}")
            assert pushed["digest"] == pulled["digest"]
            assert differences(dev.volume_path("cms", claim), prod.volume_path("cms", claim)) == []
