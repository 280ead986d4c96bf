"""Several small volumes in one Job: one pod with a container and a mount for each of them.

A Job costs a pod, and a pod its scheduling, its image and its start; for a small volume that is most of the time. Each
container carries its own volume with its own Secret, log, exit code and last word, so that progress, results and
failures stay the volume's. What they share is the pod's fate: a container that failed on something that may pass is
started again with the next pod, when the others have ended, and what those have done is then only confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings

from migrations_app.models import MigrationVolume

# More containers than this are a pod that is hard to place.
MOST_IN_ONE = 8


def is_small(volume: MigrationVolume) -> bool:
    """Whether the volume may have company at all."""
    return volume.capacity_bytes <= settings.MOVER_SHARED_BYTES


@dataclass
class _Job:
    name: str
    bytes: int
    volumes: int = 1


@dataclass
class Company:
    """The Jobs of one side that are to be made in this look, and still take volumes."""

    _open: dict[tuple[str, str], _Job] = field(default_factory=dict)

    @property
    def is_expected(self) -> bool:
        """Whether there is a Job that others may join."""
        return bool(self._open)

    def join(self, namespace: str, together: str, volume: MigrationVolume) -> str:
        """The Job that takes the volume in; empty where it needs one of its own."""
        job = self._job_for(namespace, together, volume)
        if job is None:
            return ""
        job.bytes += volume.capacity_bytes
        job.volumes += 1
        return job.name

    def takes(self, namespace: str, together: str, volume: MigrationVolume) -> bool:
        """Whether there is a Job that takes the volume in."""
        return self._job_for(namespace, together, volume) is not None

    def _job_for(self, namespace: str, together: str, volume: MigrationVolume) -> _Job | None:
        job = self._open.get((namespace, together)) if together and is_small(volume) else None
        if job is None or job.volumes >= MOST_IN_ONE or job.bytes + volume.capacity_bytes > settings.MOVER_SHARED_BYTES:
            return None
        return job

    def open(self, namespace: str, together: str, volume: MigrationVolume, name: str) -> None:
        """A Job begins with this volume, and may take others in."""
        if together and is_small(volume):
            self._open[namespace, together] = _Job(name, volume.capacity_bytes)
