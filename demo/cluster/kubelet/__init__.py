"""The kubelets of all nodes of a simulated cluster: they run its pods and answer for them.

`run` starts a worker (`pods.PodWorker`) for every pod that has a node. `Kubelet` answers the subresources of pods:
logs, exec, attach, port-forward and proxy. The two share nothing but the files under `pods/<uid>` in the cluster's
state, so that either works without the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import Object
from demo.cluster.copies import copied
from demo.cluster.kubelet import answers, streams
from demo.cluster.kubelet.pods import PodWorker

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI
    from demo.cluster.http import StreamRequest

__all__ = ["Kubelet", "run"]

answers.teach()


async def run(api: ClusterAPI) -> None:
    """Look after the pods of all nodes for ever; on cancellation end their processes."""
    workers: dict[str, PodWorker] = {}
    changes = api.subscribe("pods")
    try:
        while True:
            kind, _, pod = await changes.get()
            _handle(api, workers, kind, pod)
    finally:
        for worker in workers.values():
            worker.abandon()
        await asyncio.gather(*(worker.settle() for worker in workers.values()), return_exceptions=True)


def _handle(api: ClusterAPI, workers: dict[str, PodWorker], kind: str, pod: Object) -> None:
    uid = pod["metadata"]["uid"]
    if kind == "DELETED":
        if worker := workers.pop(uid, None):
            worker.forget()
        return
    if not pod["spec"].get("nodeName"):
        return
    if uid not in workers:
        workers[uid] = PodWorker(api, copied(pod))
        if "deletionTimestamp" not in pod["metadata"]:
            workers[uid].start()
    if "deletionTimestamp" in pod["metadata"]:
        workers[uid].delete()


class Kubelet:
    """Answers the subresources of pods."""

    async def handle(self, api: ClusterAPI, request: StreamRequest) -> None:
        """Answer one request for a pod's log, exec, attach, portforward or proxy."""
        await streams.handle(api, request)
