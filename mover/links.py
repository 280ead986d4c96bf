"""Which path of an inode was met first. Kept in a temporary database, so that millions of hard links cost no memory."""

from __future__ import annotations

import sqlite3


class LinkTable:
    """For one thread. A walk in canonical order asks it about every inode that has several names."""

    def __init__(self) -> None:
        # An unnamed database lives in its page cache and spills to a temporary file.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA cache_size = -4096")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("BEGIN")
        self._database.execute(
            "CREATE TABLE links (device TEXT, inode TEXT, path BLOB, PRIMARY KEY (device, inode)) WITHOUT ROWID"
        )

    def first(self, device: int, inode: int, path: bytes) -> bytes | None:
        """The path under which the inode was met before; None when this is the first, which is then remembered."""
        # Inode numbers take the full 64 bits, which SQLite's signed integers do not hold.
        key = (str(device), str(inode))
        row = self._database.execute("SELECT path FROM links WHERE device = ? AND inode = ?", key).fetchone()
        if row is not None:
            return bytes(row[0])
        self._database.execute("INSERT INTO links VALUES (?, ?, ?)", (*key, path))
        return None

    def close(self) -> None:
        """Forget everything."""
        self._database.close()
