"""Buckets and objects on disk: content as files, everything else in one SQLite database.

    index.sqlite3        buckets, objects (key → its pieces), uploads in parts
    blobs/ab/abcdef…     one file per piece; an object has one, a completed upload as many as parts

A piece is written whole before the index names it, so that a crash leaves at most files that nobody names; these are
removed at the next start. Nothing is kept in memory.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from demo.s3.errors import S3Error

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key BLOB NOT NULL, pieces TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified REAL NOT NULL, headers TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, started REAL NOT NULL, headers TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified REAL NOT NULL, PRIMARY KEY (upload, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Piece:
    """A file with a part of an object's content."""

    blob: str
    size: int
    etag: str = ""


@dataclass(frozen=True)
class StoredObject:
    """What is known of one object."""

    key: str
    pieces: tuple[Piece, ...]
    size: int
    etag: str
    modified: float
    headers: dict[str, str] = field(default_factory=dict)


class Store:
    """All buckets below one folder. Safe for many threads."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "index.sqlite3", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._remove_unnamed_blobs()

    def close(self) -> None:
        """Nothing more will be asked."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _remove_unnamed_blobs(self) -> None:
        named = {row[0] for row in self._rows("SELECT blob FROM parts")}
        for (pieces,) in self._rows("SELECT pieces FROM objects"):
            named |= {blob for blob, _ in json.loads(pieces)}
        for path in self._blobs.glob("*/*"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    # -- content ---------------------------------------------------------------------------------------------------

    def new_blob(self) -> tuple[str, Path]:
        """A name for new content, and the file to write it to."""
        name = uuid4().hex
        path = self.blob_path(name)
        path.parent.mkdir(exist_ok=True)
        return name, path

    def blob_path(self, name: str) -> Path:
        """Where the content of this name is."""
        return self._blobs / name[:2] / name

    def discard(self, blobs: list[str]) -> None:
        """Remove content that nobody names any more."""
        for name in blobs:
            self.blob_path(name).unlink(missing_ok=True)

    # -- buckets ---------------------------------------------------------------------------------------------------

    def create_bucket(self, name: str) -> bool:
        """Create the bucket; False when it was there."""
        with self._transaction() as db:
            created = db.execute("INSERT OR IGNORE INTO buckets VALUES (?, ?)", (name, time.time())).rowcount
        return bool(created)

    def buckets(self) -> list[tuple[str, float]]:
        """Names and times of creation."""
        return self._rows("SELECT name, created FROM buckets ORDER BY name")

    def require_bucket(self, name: str) -> None:
        """Raise NoSuchBucket when there is none of this name."""
        if not self._rows("SELECT 1 FROM buckets WHERE name = ?", name):
            raise S3Error("NoSuchBucket", BucketName=name)

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket."""
        self.require_bucket(name)
        if self._rows("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", name):
            raise S3Error("BucketNotEmpty", BucketName=name)
        with self._transaction() as db:
            db.execute("DELETE FROM buckets WHERE name = ?", (name,))

    # -- objects ---------------------------------------------------------------------------------------------------

    def find(self, bucket: str, key: str) -> StoredObject | None:
        """The object, or None."""
        rows = self._rows(
            "SELECT key, pieces, size, etag, modified, headers FROM objects WHERE bucket = ? AND key = ?",
            bucket,
            key.encode(),
        )
        return _stored(rows[0]) if rows else None

    def get(self, bucket: str, key: str) -> StoredObject:
        """The object; raises NoSuchKey."""
        found = self.find(bucket, key)
        if found is None:
            raise S3Error("NoSuchKey", Key=key)
        return found

    def put(
        self,
        bucket: str,
        key: str,
        pieces: list[Piece],
        etag: str,
        headers: dict[str, str],
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        upload: str | None = None,
    ) -> StoredObject:
        """Let the key name this content from now on, if the conditions hold; ends `upload` in the same step."""
        size = sum(piece.size for piece in pieces)
        modified = time.time()
        named = json.dumps([[piece.blob, piece.size] for piece in pieces])
        discarded: list[str] = []
        with self._transaction() as db:
            rows = db.execute(
                "SELECT pieces, etag FROM objects WHERE bucket = ? AND key = ?", (bucket, key.encode())
            ).fetchall()
            if if_none_match is not None and rows and if_none_match in ("*", f'"{rows[0][1]}"', rows[0][1]):
                raise S3Error("PreconditionFailed", Condition="If-None-Match")
            if if_match is not None and not rows:
                raise S3Error("NoSuchKey", Key=key)
            if if_match is not None and if_match.strip('"') not in ("*", rows[0][1]):
                raise S3Error("PreconditionFailed", Condition="If-Match")
            if rows:
                discarded += [blob for blob, _ in json.loads(rows[0][0])]
            db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                (bucket, key.encode(), named, size, etag, modified, json.dumps(headers)),
            )
            if upload is not None:
                kept = {piece.blob for piece in pieces}
                parts = db.execute("SELECT blob FROM parts WHERE upload = ?", (upload,)).fetchall()
                discarded += [blob for (blob,) in parts if blob not in kept]
                db.execute("DELETE FROM parts WHERE upload = ?", (upload,))
                db.execute("DELETE FROM uploads WHERE id = ?", (upload,))
        self.discard(discarded)
        return StoredObject(key, tuple(pieces), size, etag, modified, headers)

    def delete(self, bucket: str, key: str) -> None:
        """Delete the object if it is there."""
        with self._transaction() as db:
            rows = db.execute(
                "DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING pieces", (bucket, key.encode())
            ).fetchall()
        self.discard([blob for (pieces,) in rows for blob, _ in json.loads(pieces)])

    def list_objects(
        self, bucket: str, *, prefix: str = "", after: bytes = b"", delimiter: str = "", limit: int = 1000
    ) -> tuple[list[StoredObject], list[str], bytes | None]:
        """Objects and common prefixes after a key, by their bytes, and where to go on (None at the end)."""
        start, cut = prefix.encode(), delimiter.encode()
        objects: list[StoredObject] = []
        prefixes: list[str] = []
        position, inclusive = max(after, start), after < start
        while True:
            rows = self._rows(
                "SELECT key, pieces, size, etag, modified, headers FROM objects"
                f" WHERE bucket = ? AND key {'>=' if inclusive else '>'} ? ORDER BY key LIMIT ?",
                bucket,
                position,
                1 if delimiter else limit + 1 - len(objects),
            )
            inclusive = False
            rows = [row for row in rows if row[0].startswith(start)]
            if not rows:
                return objects, prefixes, None
            for row in rows:
                if len(objects) + len(prefixes) >= limit:
                    return objects, prefixes, position
                rest = row[0][len(start) :]
                if delimiter and cut in rest:
                    common = start + rest[: rest.index(cut) + len(cut)]
                    prefixes.append(common.decode())
                    # No key of UTF-8 has this byte: it comes after all that begin with the prefix.
                    position = common + b"\xff"
                else:
                    objects.append(_stored(row))
                    position = row[0]

    # -- uploads in parts ------------------------------------------------------------------------------------------

    def start_upload(self, bucket: str, key: str, headers: dict[str, str]) -> str:
        """Begin an upload in parts; its id."""
        upload = uuid4().hex
        with self._transaction() as db:
            values = (upload, bucket, key.encode(), time.time(), json.dumps(headers))
            db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", values)
        return upload

    def upload_headers(self, bucket: str, key: str, upload: str) -> dict[str, str]:
        """The headers with which the upload began; raises NoSuchUpload."""
        rows = self._rows(
            "SELECT headers FROM uploads WHERE id = ? AND bucket = ? AND key = ?", upload, bucket, key.encode()
        )
        if not rows:
            raise S3Error("NoSuchUpload", UploadId=upload)
        return json.loads(rows[0][0])

    def put_part(self, upload: str, number: int, piece: Piece) -> None:
        """Keep a part, in the place of an earlier one of this number."""
        with self._transaction() as db:
            if not db.execute("SELECT 1 FROM uploads WHERE id = ?", (upload,)).fetchone():
                raise S3Error("NoSuchUpload", UploadId=upload)
            old = db.execute("SELECT blob FROM parts WHERE upload = ? AND number = ?", (upload, number)).fetchall()
            values = (upload, number, piece.blob, piece.size, piece.etag, time.time())
            db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)", values)
        self.discard([blob for (blob,) in old])

    def parts(self, upload: str) -> list[tuple[int, Piece, float]]:
        """Number, content and time of each part."""
        rows = self._rows(
            "SELECT number, blob, size, etag, modified FROM parts WHERE upload = ? ORDER BY number", upload
        )
        return [(number, Piece(blob, size, etag), modified) for number, blob, size, etag, modified in rows]

    def abort_upload(self, upload: str) -> None:
        """Forget the upload and its parts."""
        with self._transaction() as db:
            blobs = [
                blob
                for (blob,) in db.execute("DELETE FROM parts WHERE upload = ? RETURNING blob", (upload,)).fetchall()
            ]
            db.execute("DELETE FROM uploads WHERE id = ?", (upload,))
        self.discard(blobs)

    def uploads(self, bucket: str, prefix: str = "") -> list[tuple[str, str, float]]:
        """Key, id and start of the uploads under way."""
        rows = self._rows("SELECT key, id, started FROM uploads WHERE bucket = ? ORDER BY key, id", bucket)
        return [(key.decode(), upload, started) for key, upload, started in rows if key.startswith(prefix.encode())]


def etag_of_parts(pieces: list[Piece]) -> str:
    """The entity tag of an object that came in parts."""
    digest = hashlib.md5(b"".join(bytes.fromhex(piece.etag) for piece in pieces), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(pieces)}"


def _stored(row: tuple[Any, ...]) -> StoredObject:
    key, pieces, size, etag, modified, headers = row
    return StoredObject(
        key.decode(), tuple(Piece(*piece) for piece in json.loads(pieces)), size, etag, modified, json.loads(headers)
    )
