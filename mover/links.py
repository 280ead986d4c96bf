"""Which path of an inode was met first. Kept in a temporary database, so that millions of hard links cost no memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection


class LinkTable:
    """For one thread. A walk in canonical order asks it about every inode that has several names."""

    @functools.cached_property
    def _database(self) -> Connection:
        # Only who meets a hard link waits for SQLite to be loaded.
        import sqlite3

        # An unnamed database lives in its page cache and spills to a temporary file.
        database = sqlite3.connect("", isolation_level=None)
        database.execute("PRAGMA cache_size = -4096")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        database.execute(
            "CREATE TABLE links (device TEXT, inode TEXT, path BLOB, PRIMARY KEY (device, inode)) WITHOUT ROWID"
        )
        return database

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
        if "_database" in self.__dict__:
            self._database.close()
