"""A pair of the simulated clusters, whose jobs are looked at as workers do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from audit.actor import Actor
from clusters.models import ClusterPair, PairingJob, PortworxPairing
from clusters.pairing import jobs
from clusters.portworx import credentials
from demo.cluster.server import ClusterHandle
from demo.portworx.storage import storage_of
from demo.s3 import RunningS3


@dataclass
class Estate:
    """The pair and both clusters of it."""

    pair: ClusterPair
    by: Actor
    dev: ClusterHandle
    prod: ClusterHandle
    store: RunningS3

    @property
    def credential(self) -> str:
        return credentials.name_for(self.prod.call(storage_of).uuid)

    def fresh(self) -> PortworxPairing:
        return PortworxPairing.objects.select_related("pair").get(pair=self.pair)

    def run(
        self,
        job: PairingJob = PairingJob.SET_UP,
        *,
        until: Callable[[PortworxPairing], bool] | None = None,
        **given: Any,
    ) -> PortworxPairing:
        """Ask for the job and look, as workers do, until it is over or the condition holds."""
        jobs.request(ClusterPair.objects.get(pk=self.pair.pk), job, by=self.by, **given)
        return self.drive(until)

    def drive(self, until: Callable[[PortworxPairing], bool] | None = None, seconds: float = 40) -> PortworxPairing:
        until = until or (lambda pairing: not pairing.is_working)
        deadline = time.monotonic() + seconds
        while True:
            pairing = PortworxPairing.objects.filter(pair=self.pair).first()
            if pairing is None or until(pairing):
                return pairing  # type: ignore[return-value]
            assert time.monotonic() < deadline, json.dumps(pairing.steps, indent=1)
            if pairing.pk in jobs.due():
                jobs.look(pairing.pk)
            else:
                # Nobody waits for real seconds between looks.
                PortworxPairing.objects.filter(pk=pairing.pk).update(next_look_at=timezone.now())
                time.sleep(0.2)

    def step(self, code: str) -> dict[str, str]:
        return next(step for step in self.fresh().steps if step["code"] == code)

    def change(self, **fields: Any) -> None:
        PortworxPairing.objects.filter(pair=self.pair).update(**fields)


def states(pairing: PortworxPairing) -> dict[str, str]:
    return {step["code"]: step["state"] for step in pairing.steps}
