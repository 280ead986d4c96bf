"""A cluster, with everything that can be asked of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from clusters.kube import streams, watches
from clusters.kube.discovery import Resource
from clusters.kube.objects import ObjectsConnection
from clusters.kube.streams import ExecResult, Forwarded
from clusters.kube.watches import WatchEvent


class Connection(ObjectsConnection):
    """One cluster, for any number of threads: requests, watches and streams. Every call raises KubeError."""

    def watch(
        self,
        resource: Resource | str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        stop: threading.Event | None = None,
    ) -> Iterator[WatchEvent]:
        """What there is, a SYNCED mark, then every change until `stop`; see `watches.watch`."""
        return watches.watch(
            self, resource, namespace, label_selector=label_selector, field_selector=field_selector, stop=stop
        )

    def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> str:
        """The container's log so far, or its last lines."""
        return streams.logs(self, pod, namespace, container=container, tail_lines=tail_lines, previous=previous)

    def follow_logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        since_time: str | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[str]:
        """The log's lines as they are written, until the container ends or `stop`."""
        return streams.follow_logs(self, pod, namespace, container=container, since_time=since_time, stop=stop)

    def exec(
        self,
        pod: str,
        namespace: str,
        command: list[str],
        *,
        container: str | None = None,
        stdin: bytes | None = None,
        timeout: float = 60,
    ) -> ExecResult:
        """Run a program in the container, and what it printed and returned."""
        return streams.exec(self, pod, namespace, command, container=container, stdin=stdin, timeout=timeout)

    def port_forward(self, pod: str, namespace: str, port: int) -> AbstractContextManager[Forwarded]:
        """A byte stream to the pod's port, through the API server."""
        return streams.port_forward(self, pod, namespace, port)
