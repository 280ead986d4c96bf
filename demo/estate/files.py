"""What lies in the application's volumes: plausible, deterministic, and with everything that makes copying files hard.

Everything comes from one seed, times and modes included, so that two estates of the same size are equal.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

SEED = 20261123
PAGE_BYTES = 16 * 1024
MEBIBYTE = 1 << 20
# OpenShift gives every project user ids of its own; MySQL's image runs as 999, Apache as www-data.
MYSQL_OWNER = (999, 999)
WORDPRESS_OWNER = (33, 33)
BEGINNING = 1_760_000_000 * 10**9
POSTS = (
    ("Hello world!", "Welcome to the marketing site. This is its first post."),
    ("Spring campaign", "The spring campaign starts in Ohio and moves to Oregon."),
    ("Café menü — neue Öffnungszeiten", "Ab Montag: 8–18 Uhr."),
    ("サイトを移行しました", "データはすべて無事です。"),
    ("Pricing & plans", "<Free>, Team & Enterprise: what is in each."),
)


class Tree:
    """Writes one volume's files; owners, modes and times are set at the end, deepest first."""

    def __init__(self, root: Path, seed: int, owner: tuple[int, int]) -> None:
        self.root, self.owner = root, owner
        self.random = random.Random(seed)
        self._modes: dict[bytes, int] = {}

    def path(self, name: str | bytes) -> bytes:
        """The whole path of a name in the tree."""
        return os.path.join(os.fsencode(self.root), os.fsencode(name))

    def folder(self, name: str | bytes, mode: int = 0o755) -> None:
        """Make a folder."""
        path = self.path(name).rstrip(b"/")
        os.makedirs(path, exist_ok=True)
        self._modes[path] = mode

    def file(self, name: str | bytes, content: bytes, mode: int = 0o644) -> None:
        """Write a file."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        self._modes[path] = mode

    def sparse(self, name: str, size: int, pieces: dict[int, bytes], mode: int = 0o640) -> None:
        """A file of `size` bytes that is a hole but for the pieces."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(size)
            for offset, content in pieces.items():
                file.seek(offset)
                file.write(content)
        self._modes[path] = mode

    def symlink(self, name: str, target: str) -> None:
        """A symbolic link."""
        os.symlink(target, self.path(name))

    def hard_link(self, name: str, existing: str) -> None:
        """Another name of a file."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        os.link(self.path(existing), self.path(name))

    def attribute(self, name: str, key: str, value: bytes) -> None:
        """An extended attribute, where the file system has them."""
        with contextlib.suppress(OSError):
            os.setxattr(self.path(name), key, value)

    def finish(self) -> None:
        """Set owners, modes and times."""
        for folder, names, files in os.walk(os.fsencode(self.root), topdown=False):
            for name in [*files, *(each for each in names if os.path.islink(os.path.join(folder, each)))]:
                self._set(os.path.join(folder, name))
            self._set(folder)

    def _set(self, path: bytes) -> None:
        if os.geteuid() == 0:
            os.chown(path, *self.owner, follow_symlinks=False)
        if not os.path.islink(path):
            os.chmod(path, self._modes.get(path, 0o755 if os.path.isdir(path) else 0o644))
        name = os.path.relpath(path, os.fsencode(self.root))
        moment = BEGINNING + zlib.crc32(name) * 7_000_001
        os.utime(path, ns=(moment, moment), follow_symlinks=False)


def fill_database(root: Path, megabytes: float) -> None:
    """MySQL's data directory of about this size."""
    tree = Tree(root, SEED, MYSQL_OWNER)
    tree.folder("", 0o750)
    budget = int(megabytes * MEBIBYTE)
    for name in ("mysql", "performance_schema", "sys", "wordpress", "#innodb_redo", "#innodb_temp"):
        tree.folder(name, 0o750)
    posts = b"".join(b"post:" + title.encode() + b"|" + text.encode() + b"|" for title, text in POSTS)
    pages = max(4, budget // PAGE_BYTES)
    _table(tree, "wordpress/wp_posts.ibd", 11, pages * 30 // 100, posts)
    _table(tree, "wordpress/wp_postmeta.ibd", 12, pages * 15 // 100, b"_wp_attached_file 2026/03/")
    _table(tree, "wordpress/wp_options.ibd", 13, pages * 10 // 100, b"siteurl https://cms.example.com ")
    _table(tree, "wordpress/wp_comments.ibd", 14, pages * 5 // 100, b"Nice post! ")
    _table(tree, "mysql.ibd", 1, pages * 10 // 100, b"mysql.innodb_table_stats ")
    tablespace = max(12 * MEBIBYTE, budget // 8)
    system = {0: _page(tree.random, 0, 0, b"ibdata"), tablespace - PAGE_BYTES: _page(tree.random, 0, 767, b"end")}
    tree.sparse("ibdata1", tablespace, system)
    for number in range(1, 3):
        tree.sparse(f"undo_{number:03}", 16 * MEBIBYTE, {0: _page(tree.random, 100 + number, 0, b"undo")})
    redo = tree.random.randbytes(min(MEBIBYTE, max(PAGE_BYTES, budget // 16)))
    for number in range(7, 10):
        tree.sparse(f"#innodb_redo/#ib_redo{number}", 3 * MEBIBYTE, {2048: redo})
    _binary_logs(tree, budget * 20 // 100)
    for number in range(12):
        tree.file(f"performance_schema/threads_{number}.sdi", json.dumps({"mysqld_version_id": 80406}).encode(), 0o640)
    tree.file("sys/sys_config.ibd", _page(tree.random, 9, 0, b"sys"), 0o640)
    tree.file("auto.cnf", b"[auto]\nserver-uuid=7d1c9d64-c8aa-11f0-9f1e-0a580a800017\n", 0o640)
    tree.file("server-key.pem", b"-----BEGIN PRIVATE KEY-----\nmade up\n-----END PRIVATE KEY-----\n", 0o600)
    tree.file("ib_buffer_pool", b"".join(b"%d,%d\n" % (11, page) for page in range(500)), 0o640)
    tree.symlink("mysql.sock", "/var/run/mysqld/mysqld.sock")
    tree.finish()


def _page(numbers: random.Random, space: int, page: int, text: bytes) -> bytes:
    """A page as InnoDB lays it out: a head, rows of text, free space, a tail."""
    head = struct.pack(
        ">IIIIQHQI", numbers.getrandbits(32), page, page - 1 & 0xFFFFFFFF, page + 1, page * 977, 17855, 0, space
    )
    rows = (text * (6000 // max(1, len(text)) + 1))[:6000] + numbers.randbytes(3000)
    return head + rows + bytes(PAGE_BYTES - len(head) - len(rows) - 8) + struct.pack(">II", page, space)


def _table(tree: Tree, name: str, space: int, pages: int, text: bytes) -> None:
    content = bytearray(_page(tree.random, space, 0, b"") + bytes(PAGE_BYTES))
    # The first data page holds the text once and as it is; the others are rows like it.
    first = bytearray(_page(tree.random, space, 2, b""))
    first[120 : 120 + len(text)] = text
    content += first
    filler = text.replace(b"post:", b"row:").replace(b"|", b"/")
    for page in range(3, max(4, pages)):
        content += _page(tree.random, space, page, filler)
    tree.file(name, bytes(content), 0o640)


def _binary_logs(tree: Tree, budget: int) -> None:
    names = [f"binlog.{number:06}" for number in range(41, 45)]
    for name in names:
        size = max(1024, budget // len(names))
        statement = b"INSERT INTO `wp_options` (`option_name`, `option_value`) VALUES ('_transient_feed', '"
        block = statement + tree.random.randbytes(400)
        content = b"\xfebin" + (block * (size // len(block) + 1))[: size // 2] + tree.random.randbytes(size // 2)
        tree.file(name, content, 0o640)
    tree.file("binlog.index", "".join(f"./{name}\n" for name in names).encode(), 0o640)


def fill_site(root: Path, megabytes: float) -> None:
    """WordPress's document root of about this size."""
    tree = Tree(root, SEED + 1, WORDPRESS_OWNER)
    budget = int(megabytes * MEBIBYTE)
    tree.file("index.php", b"<?php\ndefine( 'WP_USE_THEMES', true );\nrequire __DIR__ . '/wp-blog-header.php';\n")
    tree.file("wp-config.php", b"<?php\ndefine( 'DB_HOST', getenv( 'WORDPRESS_DB_HOST' ) );\n", 0o640)
    tree.file(".htaccess", b"RewriteEngine On\nRewriteBase /\n")
    tree.file("wp-content/site.json", b'{"title": "The Content Company", "tagline": "Moved, not lost"}\n')
    _programs(tree, max(60, min(1200, budget // (60 * 1024))))
    _uploads(tree, int(budget * 0.85))
    _oddities(tree)
    tree.finish()


def _programs(tree: Tree, count: int) -> None:
    folders = ("wp-includes", "wp-admin/includes", "wp-includes/blocks", "wp-content/plugins/akismet")
    words = [
        "function",
        "return",
        "array",
        "apply_filters",
        "add_action",
        "foreach",
        "echo",
        "esc_html",
        "null",
        "true",
    ]
    for number in range(count):
        folder = folders[number % len(folders)]
        lines = [" ".join(tree.random.choices(words, k=9)) + ";" for _ in range(tree.random.randrange(20, 90))]
        tree.file(f"{folder}/class-wp-{number:04}.php", ("<?php\n" + "\n".join(lines) + "\n").encode())
    for theme in ("twentytwentyfive", "company"):
        tree.file(f"wp-content/themes/{theme}/style.css", b"body { font-family: serif; }\n" * 40)
        settings = {"version": 3, "palette": [f"#{tree.random.getrandbits(24):06x}" for _ in range(300)]}
        tree.file(f"wp-content/themes/{theme}/theme.json", json.dumps(settings, indent=1).encode())
    tree.symlink("wp-content/themes/current", "company")
    tree.symlink("wp-content/debug.log", "/dev/stderr")


def _uploads(tree: Tree, budget: int) -> None:
    tree.folder("wp-content/uploads", 0o2775)
    months = [(year, month) for year in (2024, 2025, 2026) for month in (1, 3, 6, 11)]
    each = max(2048, min(2 * MEBIBYTE, budget // 60))
    number = 0
    while budget > 0:
        year, month = months[number % len(months)]
        folder = f"wp-content/uploads/{year}/{month:02}"
        tree.folder(f"wp-content/uploads/{year}", 0o2775)
        tree.folder(folder, 0o2775)
        size = tree.random.randrange(each // 2, each * 3 // 2)
        head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00"
        name = f"{folder}/picture-{number:04}.jpg"
        tree.file(name, head + tree.random.randbytes(size) + b"\xff\xd9", 0o664)
        if number % 10 == 0:
            tree.hard_link(f"wp-content/cache/pictures/{number:04}.jpg", name)
        if number % 7 == 0:
            tree.attribute(name, "user.mime_type", b"image/jpeg")
        budget -= size
        number += 1


def _oddities(tree: Tree) -> None:
    """Names and kinds that are rare and legal."""
    folder = "wp-content/uploads/odd"
    tree.folder(folder, 0o2770)
    names: tuple[str | bytes, ...] = (
        "Café Menü (final) [2].jpg",
        "日本語のファイル.txt",
        "cafe\u0301-decomposed.txt",
        "emoji-🚚.txt",
        "-rf",
        " leading and trailing ",
        "back\\slash",
        "quote'\"`$HOME;.txt",
        "two\nlines.txt",
        "x" * 251 + ".txt",
        b"latin1-\xe9t\xe9.txt",
    )
    for name in names:
        raw = os.fsencode(name)
        with contextlib.suppress(OSError):
            tree.file(os.path.join(os.fsencode(folder), raw), raw)
    tree.file(f"{folder}/empty", b"")
    tree.folder(f"{folder}/empty folder", 0o1777)
    tree.file(f"{folder}/only-for-me", b"secret\n", 0o400)
    tree.file(f"{folder}/runs.sh", b"#!/bin/sh\necho hello\n", 0o755)
    tree.file(f"{folder}/.hidden/deep/er/still/file", b"found\n")
    tree.file(f"{folder}/tagged", b"tagged\n")
    tree.attribute(f"{folder}/tagged", "user.origin", b"https://example.com/\x00\xff")
    tree.sparse(f"{folder}/holes.bin", 4 * MEBIBYTE, {MEBIBYTE: b"middle", 4 * MEBIBYTE - 3: b"end"}, 0o644)
    tree.hard_link(f"{folder}/.hidden/same", f"{folder}/tagged")
    tree.symlink(f"{folder}/loop", "loop")
    tree.symlink(f"{folder}/up", "../2026")


FILLERS: dict[str, Callable[[Path, float], None]] = {"database": fill_database, "site": fill_site}
