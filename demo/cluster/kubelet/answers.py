"""The images that the nodes are taught from the start: small shells, MySQL and WordPress."""

from __future__ import annotations

import asyncio
import html
import itertools
import re
from collections.abc import Iterable
from email.utils import formatdate
from pathlib import Path

from demo.cluster.controllers.loop import find
from demo.cluster.controllers.volumes import CLAIMS, volume_folder
from demo.cluster.kubelet.http import Answer, Response, http_listener
from demo.cluster.kubelet.images import Image, Listener, Place, Terminal, register

SHELL_IMAGES = ("busybox", "alpine", "debian", "ubuntu", "ubi-minimal")
MYSQL_VERSION = "8.4.6"
MYSQL_FOLDER = "/var/lib/mysql"
WORDPRESS_FOLDER = "/var/www/html"
POSTS_FILE = "wordpress/wp_posts.ibd"
_HTTPD = re.compile(r"httpd\b(?P<options>[^;&|\n]*)")
_POST = re.compile(rb"post:(?P<title>[^\x00|]+)\|(?P<text>[^\x00|]+)\|")


def teach() -> None:
    """Teach the nodes these images."""
    for name in SHELL_IMAGES:
        register(name, Image(runs_scripts=True, listens=_httpd_of_script))
    register(
        "mysql",
        Image(
            commands={"mysql": _mysql, "mysqladmin": _mysqladmin, "mysqldump": _mysqldump},
            listeners={3306: _greet_as_mysql},
        ),
    )
    register("wordpress", Image(commands={"php": _php}, listeners={80: http_listener(_wordpress_page)}))


def _httpd_of_script(place: Place) -> dict[int, Listener]:
    """The ports of `httpd -p PORT -h FOLDER` in the container's script."""
    script = " ".join([*place.container.get("command", ()), *place.container.get("args", ())])
    listeners = {}
    for match in _HTTPD.finditer(script):
        options = match["options"].split()
        given = dict(itertools.pairwise(options))
        folder = given.get("-h", "/")
        listeners[int(given.get("-p", "80"))] = http_listener(_files_under(folder))
    return listeners


def _files_under(folder: str) -> Answer:
    def answer(place: Place, method: str, path: str) -> Response:
        del method
        return _file_response(place.path(f"{folder}/{path.partition('?')[0]}"))

    return answer


def _file_response(path: Path) -> Response:
    if not path.is_file():
        return Response(404, b"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD></HTML>\n", "text/html")
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".jpg": "image/jpeg"}
    types |= {".png": "image/png", ".json": "application/json", ".svg": "image/svg+xml"}
    known = path.stat()
    headers = {
        "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(known.st_mtime, usegmt=True),
        "ETag": f'"{int(known.st_mtime):x}-{known.st_size:x}"',
    }
    return Response(200, path.read_bytes(), types.get(path.suffix, ""), headers)


async def _mysqladmin(place: Place, words: list[str], terminal: Terminal) -> int:
    if "ping" in words:
        await terminal.out("mysqld is alive\n")
        return 0
    if "status" in words:
        await terminal.out("Uptime: 1  Threads: 2  Questions: 5  Slow queries: 0  Opens: 119  Open tables: 98\n")
        return 0
    await terminal.out(f"mysqladmin  Ver {MYSQL_VERSION} for Linux on x86_64\n")
    return 0


async def _mysql(place: Place, words: list[str], terminal: Terminal) -> int:
    if "--version" in words or "-V" in words:
        await terminal.out(f"mysql  Ver {MYSQL_VERSION} for Linux on x86_64 (MySQL Community Server - GPL)\n")
        return 0
    statement = next((words[index + 1] for index, word in enumerate(words[:-1]) if word == "-e"), "")
    if "show databases" in statement.lower():
        folder = place.path(MYSQL_FOLDER)
        names = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("#"))
        await terminal.out("".join(f"{name}\n" for name in ["Database", "information_schema", *names]))
    elif "wp_posts" in statement.lower():
        await terminal.out("".join(f"{title}\n" for title, _ in posts_in(place.path(f"{MYSQL_FOLDER}/{POSTS_FILE}"))))
    return 0


async def _mysqldump(place: Place, words: list[str], terminal: Terminal) -> int:
    del words
    await terminal.out(f"-- MySQL dump 10.13  Distrib {MYSQL_VERSION}, for Linux (x86_64)\n")
    for title, text in posts_in(place.path(f"{MYSQL_FOLDER}/{POSTS_FILE}")):
        await terminal.out(f"INSERT INTO `wp_posts` VALUES ('{title}','{text}');\n")
    return 0


async def _php(place: Place, words: list[str], terminal: Terminal) -> int:
    del place, words
    await terminal.out("PHP 8.3.24 (cli) (built: Aug 12 2025 21:05:33) (NTS)\n")
    return 0


async def _greet_as_mysql(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """MySQL's first packet, and a refusal of whatever login follows."""
    del place
    greeting = b"\x0a" + MYSQL_VERSION.encode() + b"\0" + (8).to_bytes(4, "little") + b"saltsalt\0"
    greeting += b"\xff\xf7\xff\x02\x00\xff\xc1\x15" + bytes(10) + b"saltsaltsalt\0" + b"mysql_native_password\0"
    writer.write(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
    await writer.drain()
    if await reader.read(65536):
        error = b"\xff\x15\x04#28000Access denied"
        writer.write(len(error).to_bytes(3, "little") + b"\x02" + error)
        await writer.drain()


def posts_in(table: Path) -> Iterable[tuple[str, str]]:
    """Title and text of the posts that a table's file holds; none when there is no such file."""
    if not table.is_file():
        return []
    return [
        (match["title"].decode(errors="replace"), match["text"].decode(errors="replace"))
        for match in _POST.finditer(table.read_bytes())
    ]


def _database_folder(place: Place) -> Path | None:
    """The folder of the claim that MySQL's pod in the same namespace has; WordPress asks it over the network."""
    host = place.variables.get("WORDPRESS_DB_HOST", "").partition(":")[0]
    namespace = place.pod["metadata"]["namespace"]
    service = find(place.api, "services", namespace, host) if host else None
    if service is None:
        return None
    for pod in place.api.list("pods", namespace, service["spec"].get("selector") or {"": ""}):
        if pod["status"].get("phase") != "Running":
            continue
        for volume in pod["spec"].get("volumes", ()):
            name = volume.get("persistentVolumeClaim", {}).get("claimName", "-")
            claim = find(place.api, CLAIMS, namespace, name)
            if claim and claim["spec"].get("volumeName"):
                return volume_folder(place.api, claim["spec"]["volumeName"])
    return None


def _wordpress_page(place: Place, method: str, path: str) -> Response:
    """The site's page: its theme and pictures from WordPress's own volume, its posts from MySQL's."""
    del method
    root = place.path(WORDPRESS_FOLDER)
    path = path.partition("?")[0]
    if path.startswith("/wp-content/") and ".." not in path:
        return _file_response(root / path.lstrip("/"))
    if not (root / "wp-config.php").is_file():
        return Response(302, b"", "text/html", {"Location": "/wp-admin/setup-config.php"})
    database = _database_folder(place)
    if database is None or not (database / POSTS_FILE).is_file():
        return Response(500, b"<h1>Error establishing a database connection</h1>\n", "text/html; charset=UTF-8")
    title = "cms"
    site = root / "wp-content/site.json"
    if site.is_file() and (match := re.search(r'"title": "([^"]+)"', site.read_text())):
        title = match[1]
    articles = "".join(
        f"<article><h2>{html.escape(heading)}</h2><p>{html.escape(text)}</p></article>\n"
        for heading, text in posts_in(database / POSTS_FILE)
    )
    pictures = sorted((root / "wp-content/uploads").rglob("*.jpg"))[:6]
    figures = "".join(f'<img src="/{picture.relative_to(root).as_posix()}" alt="">\n' for picture in pictures)
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{html.escape(title)}</title>"
        f'<meta name="generator" content="WordPress"></head>\n<body><h1>{html.escape(title)}</h1>\n'
        f"{articles}{figures}</body></html>\n"
    )
    return Response(200, page.encode(), "text/html; charset=UTF-8")
