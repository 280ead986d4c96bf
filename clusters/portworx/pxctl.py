"""Reading what `pxctl` prints. Every function takes the text and raises UnreadableError where it is damaged.

Formats as in the Portworx documentation (`pxctl` reference of 1.2 to 3.4). Columns are separated by tabs or by two and
more spaces, and differ between versions, so they are read by the names in the table's head.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from clusters.portworx.errors import UnreadableError
from clusters.texts import said

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SIZE = r"[0-9.]+ ?(?:[KMGTPE]i?)?B"
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
# What Portworx calls the right to migrate, in `pxctl license list`.
MIGRATION_FEATURE = "cluster-level migration"


def bytes_of(text: str) -> int | None:
    """The bytes that `3.0 GiB`, `340 KiB` or `0 B` mean; None where it is no size."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGTPE]?)(i?)B", text.strip())
    if not found:
        return None
    factor = (UNITS if found[3] else DECIMAL)[found[2]]
    return round(float(found[1]) * factor)


def cells(line: str) -> list[str]:
    """The cells of one line of a table."""
    return [each.strip() for each in re.split(r"\t+| {2,}", line.strip()) if each.strip()]


def decoded(text: str, command: str) -> Any:
    """The JSON that is printed, after whatever warnings stand before it. Raises UnreadableError."""
    start = re.search(r"^\s*[\[{]", text, re.MULTILINE)
    if start is None:
        raise UnreadableError(command, said("there is no JSON in it"))
    try:
        return json.JSONDecoder().raw_decode(text[start.start() :].lstrip())[0]
    except (ValueError, RecursionError):
        raise UnreadableError(command, said("its JSON is broken off or damaged")) from None


def number(value: Any) -> int | None:
    """A whole number, as JSON of protocol buffers writes them: plain or in quotes."""
    try:
        return int(str(value))
    except ValueError:
        return None


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


@dataclass(frozen=True)
class Credential:
    """Object-store credentials that Portworx keeps; secrets are never shown by it. `fields` holds all columns."""

    uuid: str
    name: str
    provider: str
    fields: dict[str, str]

    @property
    def bucket(self) -> str:
        """The bucket that was chosen, or empty where Portworx makes one."""
        found = self.fields.get("BUCKET", "")
        return "" if found == "<nil>" else found


def credentials(text: str) -> list[Credential]:
    """What `pxctl credentials list` names: blocks of `S3 Credentials`, `Azure Credentials`, each with a table."""
    found: list[Credential] = []
    provider = ""
    head: list[str] = []
    for line in text.splitlines():
        title = re.fullmatch(r"\s*(\w+) Credentials\s*", line)
        row = cells(line)
        if title:
            provider, head = title[1].lower(), []
        elif row[:1] == ["UUID"]:
            head = [each.upper() for each in row]
        elif row and UUID.fullmatch(row[0]):
            if not (provider and head):
                raise UnreadableError("credentials list", said("there is a row without the head of its table"))
            fields = dict(zip(head, row, strict=False))
            found.append(Credential(row[0], fields.get("NAME", ""), provider, fields))
    if not found and text.strip() and not re.search(r"no credentials|credentials", text, re.IGNORECASE):
        raise UnreadableError("credentials list", said("it names no credentials, and does not say that there are none"))
    return found


def created(text: str) -> str:
    """The UUID after `Credentials created successfully, UUID:…`; empty for versions that do not tell it."""
    if "created successfully" not in text.lower():
        raise UnreadableError("credentials create", said("it does not say that the credentials were created"))
    found = UUID.search(text)
    return found[0] if found else ""


def token(text: str) -> str:
    """The token in `Token is <128 hexadecimal digits>`."""
    found = re.search(r"^\s*Token is\s+([0-9A-Za-z._-]{16,})\s*$", text, re.MULTILINE)
    if not found:
        # What was printed is not repeated: it may hold the token.
        raise UnreadableError("cluster token show", said("there is no line that says “Token is …”"))
    return found[1]


def may_migrate(text: str) -> bool | None:
    """Whether `pxctl license list` allows to migrate; None where it does not speak of it."""
    for line in text.splitlines():
        if line.strip().lower().startswith(MIGRATION_FEATURE):
            words = line.split("]")[-1].split()
            if words[:1] in (["yes"], ["no"]):
                return words[0] == "yes"
    return None


def may_migrate_by_name(licence: str) -> bool | None:
    """The same from the licence's name in `pxctl status`: Trial and Enterprise may, Essentials may not."""
    plain = licence.lower()
    if "expired" in plain or "essential" in plain:
        return False
    return True if "trial" in plain or "enterprise" in plain else None
