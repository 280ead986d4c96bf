"""Stork on one cluster: it follows its objects, each in a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import key_of
from demo.portworx import actions, migrating, pairing, scheduling, transforming
from demo.portworx.pace import RETRY_SECONDS
from demo.portworx.recorder import Recorder
from demo.portworx.transfers import Transfer

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

log = logging.getLogger(__name__)
Object = dict[str, Any]
Key = tuple[str, str, str]

# What needs nothing but the cluster.
SIMPLE = {
    pairing.PAIRS: pairing.reconcile,
    scheduling.SCHEDULES: scheduling.reconcile,
    actions.ACTIONS: actions.reconcile,
    transforming.TRANSFORMATIONS: transforming.reconcile,
}


class Stork:
    """The program, until it is cancelled."""

    def __init__(self, api: ClusterAPI) -> None:
        self._api = api
        self._recorder = Recorder(api)
        self._transfers: dict[str, Transfer] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wakes: dict[Key, asyncio.Event] = {}

    async def run(self) -> None:
        """Follow all kinds for ever; on cancellation end what runs."""
        changes = self._api.subscribe(migrating.MIGRATIONS, *SIMPLE)
        try:
            while True:
                _kind, name, obj = await changes.get()
                namespace, own = key_of(obj)
                key = (name, namespace or "", own)
                self._wakes.setdefault(key, asyncio.Event()).set()
                if key not in self._tasks:
                    self._tasks[key] = asyncio.create_task(self._follow(key))
        finally:
            running = [*self._tasks.values()]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for transfer in list(self._transfers.values()):
                if not transfer.is_over:
                    await transfer.cancel()

    async def _follow(self, key: Key) -> None:
        """Reconcile one object until it is gone; again after each change and when its time has come."""
        wake = self._wakes[key]
        while True:
            wake.clear()
            pause = await self._reconcile(key)
            # Its own writes are no reason to look again at once.
            await asyncio.sleep(0)
            if pause is not None:
                wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), pause)

    async def _reconcile(self, key: Key) -> float | None:
        name, namespace, own = key
        try:
            simple = SIMPLE.get(name)
            if simple is not None:
                return await simple(self._api, self._recorder, namespace, own)
            return await migrating.reconcile(self._api, self._recorder, self._transfers, namespace, own)
        except APIError as refusal:
            log.debug("%s: %s: %s", self._api.name, key, refusal)
        except Exception:
            log.exception("%s: %s failed", self._api.name, key)
        return RETRY_SECONDS
