"""One run of a container: a real process for the mover, the small shell for its scripts, or nothing but being there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from demo.cluster.kubelet.logs import LogWriter

REPOSITORY = Path(__file__).resolve().parents[3]
LAUNCHER = Path(__file__).with_name("launch.py")
READ_BYTES = 64 * 1024
# The Python module that containers of the mover's image run.
MOVER_MODULE = "mover"
# How long a container that does nothing takes to stop when asked.
IDLE_STOP_SECONDS = 0.05


@dataclass(frozen=True)
class Exit:
    """How a run ended."""

    code: int
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.reason:
            object.__setattr__(self, "reason", "Error" if self.code else "Completed")


class Run(ABC):
    """A container that was started."""

    @abstractmethod
    async def wait(self) -> Exit:
        """Wait for the end; may be called by several."""

    @abstractmethod
    async def stop(self, grace: float) -> None:
        """Ask it to end, and make it after `grace` seconds."""

    @abstractmethod
    def kill(self) -> None:
        """End it now, without waiting for anything."""


class ProcessRun(Run):
    """A local process in a process group of its own, its output in the log."""

    def __init__(self, process: asyncio.subprocess.Process, log: LogWriter) -> None:
        self._process, self._log = process, log
        self._ended = asyncio.ensure_future(self._follow())

    @classmethod
    async def start(
        cls, arguments: list[str], environment: dict[str, str], log: LogWriter, *, file_limit: int = 0
    ) -> ProcessRun:
        """Start `python -m mover` with these arguments and variables."""
        own = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY)}
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(file_limit), str(os.getpid())]
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *(sys.executable, "-m", MOVER_MODULE, *arguments),
            cwd=REPOSITORY,
            env=own | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process, log)

    async def _follow(self) -> Exit:
        output = asyncio.ensure_future(self._copy_output())
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(output, 2)
        self._log.close()
        return Exit(code if code >= 0 else 128 - code)

    async def _copy_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while data := await stream.read(READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._log.write(line + b"\n")
            if len(rest) > READ_BYTES:
                self._log.write(rest)
                rest = b""
        if rest:
            self._log.write(rest)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def stop(self, grace: float) -> None:
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), grace)
        self.kill()
        await self.wait()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class TaskRun(Run):
    """A coroutine in the place of a process; `heeds_term` says whether it would end on SIGTERM."""

    def __init__(self, work: Callable[[], Awaitable[Exit]], log: LogWriter, *, heeds_term: bool) -> None:
        self._heeds_term = heeds_term
        self._log = log
        self._task = asyncio.ensure_future(self._run(work))
        self._signalled: Exit | None = None

    async def _run(self, work: Callable[[], Awaitable[Exit]]) -> Exit:
        try:
            return await work()
        except asyncio.CancelledError:
            if self._signalled is None:
                raise
            return self._signalled
        finally:
            self._log.close()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._task)

    async def stop(self, grace: float) -> None:
        if self._heeds_term:
            await asyncio.sleep(min(IDLE_STOP_SECONDS, grace))
            self._signalled = Exit(0)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), grace)
            self._signalled = Exit(128 + signal.SIGKILL)
        self._task.cancel()
        await asyncio.wait([self._task])

    def kill(self) -> None:
        self._signalled = Exit(128 + signal.SIGKILL)
        self._task.cancel()


async def idle() -> Exit:
    """Do nothing for ever, as a server that nobody calls."""
    await asyncio.Event().wait()
    return Exit(0)
