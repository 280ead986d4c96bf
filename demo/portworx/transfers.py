"""Portworx' migration of one volume: its files go through the pair's object store, and the movers carry them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.cluster.controllers.loop import now
from demo.cluster.kubelet.runs import LAUNCHER, REPOSITORY
from demo.portworx import storage
from demo.portworx.pace import PULL_WAIT_SECONDS, STORE_RETRY_SECONDS
from demo.portworx.storage import Storage, StorageError

Object = dict[str, Any]
STAGES = (("Backup", "push"), ("Restore", "pull"))


class Transfer:
    """A running task; its record stays in the cluster's state when it has ended."""

    def __init__(self, local: Storage, identity: str, cluster: str, volume: str) -> None:
        self._local = local
        self.record: Object = {
            "id": identity,
            "cluster": cluster,
            "volume": volume,
            "stage": "Backup",
            "status": "Queued",
            "bytes_done": 0,
            "bytes_total": 0,
            "error": "",
            "updated": now(),
        }
        self._keep()
        self._process: asyncio.subprocess.Process | None = None
        self._task = asyncio.create_task(self._run())

    def _keep(self, **changes: Any) -> None:
        self.record |= changes | {"updated": now()}
        self._local.keep_task(dict(self.record))

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end."""
        return self._task.done()

    async def cancel(self) -> None:
        """End it now."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.record["status"] not in ("Complete", "Failed"):
            self._keep(status="Canceled")

    async def _run(self) -> None:
        try:
            # A claim without a volume is a task with nothing to do.
            if self.record["volume"]:
                remote, credential = storage.paired(self._local, self.record["cluster"])
                folders = {
                    "push": self._local.volume_path(self.record["volume"]),
                    "pull": remote.volume_path(self.record["volume"]),
                }
                for stage, command in STAGES:
                    self._keep(stage=stage, status="InProgress", bytes_done=0)
                    folders[command].mkdir(parents=True, exist_ok=True)
                    if command == "pull":
                        # A restored volume is the one that was taken, whatever was there before.
                        await asyncio.to_thread(_empty, folders[command])
                    arguments = [command, "--path", str(folders[command])]
                    kept = storage.s3_of(credential)
                    await self._move(arguments, _environment(kept, self._local.uuid, self.record))
            self._keep(stage="Done", status="Complete", bytes_done=self.record["bytes_total"])
        except StorageError as refusal:
            self._keep(status="Failed", error=str(refusal))
        except OSError as failure:
            self._keep(status="Failed", error=f"{type(failure).__name__}: {failure.strerror}")

    async def _move(self, arguments: list[str], variables: dict[str, str]) -> None:
        """Run the mover to its end. Raises StorageError with what it said."""
        own = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY)}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LAUNCHER), "0", str(os.getpid())),
            *(sys.executable, "-m", "mover", *arguments),
            cwd=REPOSITORY,
            env=own | variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        process = self._process
        said = ""
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                said = _read(line, lambda **changes: self._keep(**changes)) or said
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            raise StorageError(said or f"the transfer ended with status {code}")


def _read(line: bytes, keep: Callable[..., None]) -> str:
    """Take one line of the mover; what it says went wrong."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    if said.get("type") == "progress":
        keep(bytes_done=said["bytes_done"], bytes_total=said["bytes_total"] or said["bytes_done"])
    return str(said["message"]) if said.get("type") == "error" else ""


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _environment(credential: Object, source: str, task: Object) -> dict[str, str]:
    """What the mover is told; the credentials are of S3."""
    key = hashlib.sha256(f"{credential['secret_key']}:{source}".encode()).digest()
    return {
        "MOVER_S3_ENDPOINT": storage.endpoint_url(credential),
        "MOVER_S3_REGION": credential["region"],
        "MOVER_S3_BUCKET": storage.bucket_of(credential),
        "MOVER_S3_PREFIX": f"{source}/{task['volume']}/{task['id']}",
        "MOVER_S3_PATH_STYLE": "true",
        "MOVER_S3_RETRY_SECONDS": str(STORE_RETRY_SECONDS),
        "MOVER_PULL_WAIT_SECONDS": str(PULL_WAIT_SECONDS),
        "MOVER_DATA_KEY": base64.b64encode(key).decode(),
        "MOVER_VOLUME": task["volume"],
        "MOVER_WORKERS": "2",
        "AWS_ACCESS_KEY_ID": credential["access_key"],
        "AWS_SECRET_ACCESS_KEY": credential["secret_key"],
    }
