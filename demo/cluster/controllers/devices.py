"""Raw block volumes: a regular file of the volume's size stands for the device, as the file behind a loop device does.

The file lies alone in the volume's folder, with holes where nothing was written, so that a large disk takes no room.
"""

from __future__ import annotations

from pathlib import Path

from demo.cluster.controllers.loop import Object
from demo.cluster.controllers.quantities import quantity

DEVICE = "device"


def is_block(volume: Object) -> bool:
    """Whether the PersistentVolume is a raw device."""
    return volume["spec"].get("volumeMode") == "Block"


def prepare(folder: Path, volume: Object) -> None:
    """Make the folder of a PersistentVolume, and for a raw one the device in it; a larger volume has it grow."""
    folder.mkdir(parents=True, exist_ok=True)
    if not is_block(volume):
        return
    size = int(quantity(volume["spec"]["capacity"]["storage"]))
    with (folder / DEVICE).open("ab") as device:
        if device.tell() < size:
            device.truncate(size)
