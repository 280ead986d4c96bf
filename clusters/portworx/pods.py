"""A Portworx pod of a cluster, and `pxctl` in it.

What `exec` runs stands in the API server's audit log, word by word. So secrets never are words of a command: a small
shell script reads them from its standard input, which nobody logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.kube.streams import ExecResult
from clusters.portworx.errors import NotInstalledError, PxctlError
from clusters.texts import NOTHING, Text, counted, said

PXCTL = "/opt/pwx/bin/pxctl"
POD_LABEL = "name=portworx"
CONTAINER = "portworx"
# Where Portworx is installed unless somebody chose another namespace: by manifest, and by operator.
USUAL_NAMESPACES = ("kube-system", "portworx")
# pxctl waits for the whole cluster; credentials are tried against an object store that may not answer.
SECONDS = 60.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Portworx:
    """A cluster's Portworx, reached through one of its ready pods."""

    connection: Connection
    namespace: str
    pod: str
    container: str
    node: str = ""

    def pxctl(self, *words: str, seconds: float = SECONDS) -> str:
        """What `pxctl WORDS` prints. Raises PxctlError with its words where it fails, and KubeError."""
        return self._succeeded(self._exec([PXCTL, *words], seconds=seconds), " ".join(words[:2]), ())

    def script(self, text: str, *, command: str, secrets: Mapping[str, str], seconds: float = SECONDS) -> str:
        """What a shell script prints, which finds each secret in the variable of its name.

        `command` is what the script is for, said where it fails. Raises as `pxctl`.
        """
        reads = "".join(f"IFS= read -r {name}; " for name in secrets)
        lines = "".join(f"{value}\n" for value in secrets.values())
        result = self._exec(["sh", "-c", reads + text], stdin=lines.encode(), seconds=seconds)
        return self._succeeded(result, command, secrets.values())

    def run(self, words: list[str], *, seconds: float = SECONDS) -> ExecResult:
        """What another program of the pod prints and returns. Raises KubeError, also where there is none."""
        return self._exec(words, seconds=seconds)

    def _exec(self, words: list[str], *, stdin: bytes | None = None, seconds: float) -> ExecResult:
        return self.connection.exec(
            self.pod, self.namespace, words, container=self.container, stdin=stdin, timeout=seconds
        )

    def _succeeded(self, result: ExecResult, command: str, secrets: Iterable[str]) -> str:
        output = result.stdout.decode(errors="replace")
        if result.exit_code == 0:
            return output
        words = result.stderr.decode(errors="replace").strip() or output.strip() or f"exit code {result.exit_code}"
        for secret in secrets:
            if secret:
                words = words.replace(secret, "***")
        raise PxctlError(command, words[:2000], _remedy(words))


def _remedy(words: str) -> Text:
    plain = words.lower()
    if "access denied" in plain or "unauthenticated" in plain or "token is empty" in plain:
        return said(
            "Portworx has its own authorization switched on. Give the pods a pxctl context with an "
            "administrator's token, or use an account that Portworx accepts."
        )
    if "not reachable" in plain or "not running" in plain or "could not reach" in plain:
        return said("Wait until Portworx runs on this node, or repair it; then try again.")
    return NOTHING


def find(connection: Connection) -> Portworx:
    """The cluster's Portworx. Raises NotInstalledError without a ready pod, and KubeError."""
    pods = portworx_pods(connection)
    ready = [pod for pod in pods if is_ready(pod)]
    if not pods:
        raise NotInstalledError(
            said("The cluster has no pod with the label name=portworx."),
            said("Install Portworx, or use the native engine."),
        )
    if not ready:
        raise NotInstalledError(
            counted(len(pods), "None of {n} Portworx pod is ready.", "None of {n} Portworx pods is ready."),
            said("Look at their events and logs; Portworx may be starting."),
        )
    chosen = min(ready, key=lambda pod: (pod["metadata"]["namespace"], pod["metadata"]["name"]))
    return Portworx(
        connection=connection,
        namespace=chosen["metadata"]["namespace"],
        pod=chosen["metadata"]["name"],
        container=_container(chosen),
        node=str(chosen["spec"].get("nodeName", "")),
    )


def portworx_pods(connection: Connection) -> list[Object]:
    """The pods with the label name=portworx, wherever they are, or in the usual namespaces where only these may be
    read. Raises KubeError."""
    try:
        return list(connection.list("pods", label_selector=POD_LABEL))
    except errors.Forbidden:
        return [
            pod for namespace in USUAL_NAMESPACES for pod in _listed(connection, namespace, label_selector=POD_LABEL)
        ]


def _listed(connection: Connection, namespace: str, label_selector: str) -> list[Object]:
    try:
        return list(connection.list("pods", namespace, label_selector=label_selector))
    except errors.Forbidden:
        return []


def is_ready(pod: Object) -> bool:
    """Whether a command can be run in the pod's Portworx container."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        each.get("ready") for each in statuses if each.get("name") == _container(pod)
    )


def _container(pod: Object) -> str:
    names = [each["name"] for each in pod["spec"]["containers"]]
    return CONTAINER if CONTAINER in names else str(names[0])
