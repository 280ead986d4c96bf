"""In the embedded layout, what a worker's thread sends reaches a socket of the web server's loop at once."""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import async_to_sync

from kubemotion_web.channel_layer import LocalChannelLayer


async def test_a_message_from_another_thread_wakes_the_receiver() -> None:
    layer = LocalChannelLayer()
    await layer.group_add("group", "specific.one")
    receiving = asyncio.create_task(layer.receive("specific.one"))
    await asyncio.sleep(0)  # lets the receiver begin, so that the layer knows its loop

    def send() -> None:
        async_to_sync(layer.group_send)("group", {"type": "greeting", "text": "hello"})

    thread = threading.Thread(target=send)
    thread.start()
    message = await asyncio.wait_for(receiving, timeout=5)
    await asyncio.to_thread(thread.join)
    assert message == {"type": "greeting", "text": "hello"}


async def test_every_member_of_a_group_gets_every_message_in_order() -> None:
    layer = LocalChannelLayer()
    for channel in ("specific.one", "specific.two"):
        await layer.group_add("group", channel)
    for number in range(20):
        await layer.group_send("group", {"type": "number", "number": number})
    for channel in ("specific.one", "specific.two"):
        assert [(await layer.receive(channel))["number"] for _ in range(20)] == list(range(20))
