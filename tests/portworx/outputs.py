"""What `pxctl` of several versions prints, as in the Portworx documentation, byte by byte."""

from __future__ import annotations

from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings"


def _read(name: str) -> str:
    return (RECORDINGS / name).read_text()


STATUS_1_5 = _read("status-1.5.txt")
STATUS_3_4 = _read("status-3.4.txt")
NO_QUORUM = _read("status-no-quorum.txt")
INSPECT_2017 = _read("inspect-2017.txt")
INSPECT_2019 = _read("inspect-2019.txt")
CREDENTIALS = _read("credentials.txt")
CREDENTIALS_OLD = _read("credentials-1.3.txt")
LICENCE_2019 = _read("license-2.0.txt")
LICENCE_2024 = _read("license-2.8.txt")
TOKEN = _read("token.txt")
