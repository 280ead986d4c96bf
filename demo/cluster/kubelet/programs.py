"""The programs that the small shell knows; they touch only the container's volumes and scratch folder."""

from __future__ import annotations

import asyncio
import base64
import secrets

from demo.cluster.kubelet.images import Command, Place, Terminal


async def _echo(_: Place, words: list[str], terminal: Terminal) -> int:
    silent = words[1:2] == ["-n"]
    await terminal.out(" ".join(words[2 if silent else 1 :]) + ("" if silent else "\n"))
    return 0


async def _true(*_: object) -> int:
    return 0


async def _false(*_: object) -> int:
    return 1


async def _sleep(_: Place, words: list[str], __: Terminal) -> int:
    if words[1] == "infinity":
        await asyncio.Event().wait()
    await asyncio.sleep(float(words[1].removesuffix("s")))
    return 0


async def _cat(place: Place, words: list[str], terminal: Terminal) -> int:
    if len(words) == 1:
        while terminal.stdin is not None and (data := await terminal.stdin.read(65536)):
            await terminal.out(data)
        return 0
    code = 0
    for name in words[1:]:
        path = place.path(name)
        if path.is_file():
            await terminal.out(path.read_bytes())
        else:
            await terminal.err(f"cat: can't open '{name}': No such file or directory\n")
            code = 1
    return code


async def _ls(place: Place, words: list[str], terminal: Terminal) -> int:
    names = [word for word in words[1:] if not word.startswith("-")] or ["/"]
    for name in names:
        path = place.path(name)
        if not path.exists():
            await terminal.err(f"ls: {name}: No such file or directory\n")
            return 1
        entries = sorted(each.name for each in path.iterdir()) if path.is_dir() else [name]
        await terminal.out("".join(f"{entry}\n" for entry in entries))
    return 0


async def _mkdir(place: Place, words: list[str], _: Terminal) -> int:
    for name in words[1:]:
        if not name.startswith("-"):
            place.path(name).mkdir(parents=True, exist_ok=True)
    return 0


async def _hostname(place: Place, _: list[str], terminal: Terminal) -> int:
    await terminal.out(place.pod["spec"].get("hostname", place.pod["metadata"]["name"]) + "\n")
    return 0


async def _env(place: Place, _: list[str], terminal: Terminal) -> int:
    await terminal.out("".join(f"{name}={value}\n" for name, value in place.variables.items()))
    return 0


async def _read(place: Place, words: list[str], terminal: Terminal) -> int:
    """One line of the input into a variable, as `IFS= read -r NAME` does; 1 at the end of the input."""
    line = (await terminal.stdin.readline()).decode(errors="replace") if terminal.stdin is not None else ""
    for name in [word for word in words[1:] if not word.startswith("-")][:1]:
        place.variables[name] = line.removesuffix("\n")
    return 0 if line.endswith("\n") else 1


async def _httpd(_: Place, words: list[str], __: Terminal) -> int:
    """Whoever asks on its port is answered by the image's listeners; this is only the program being there."""
    if "-f" in words:
        await asyncio.Event().wait()
    return 0


async def _printf(_: Place, words: list[str], terminal: Terminal) -> int:
    """Only `printf %s WORD`, for texts that an `echo` might change."""
    if words[1:2] != ["%s"]:
        await terminal.err(f"printf: {' '.join(words[1:2])}: not known here\n")
        return 2
    await terminal.out("".join(words[2:]))
    return 0


async def _base64(_: Place, words: list[str], terminal: Terminal) -> int:
    data = b"" if terminal.stdin is None else await terminal.stdin.read()
    try:
        await terminal.out(base64.b64decode(data) if "-d" in words else base64.b64encode(data) + b"\n")
    except ValueError:
        await terminal.err("base64: invalid input\n")
        return 1
    return 0


async def _mktemp(place: Place, _: list[str], terminal: Terminal) -> int:
    name = f"/tmp/tmp.{secrets.token_hex(5)}"
    path = place.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    await terminal.out(f"{name}\n")
    return 0


async def _rm(place: Place, words: list[str], terminal: Terminal) -> int:
    code = 0
    for name in (word for word in words[1:] if not word.startswith("-")):
        path = place.path(name)
        if path.is_file():
            path.unlink()
        elif "-f" not in words:
            await terminal.err(f"rm: can't remove '{name}': No such file or directory\n")
            code = 1
    return code


PROGRAMS: dict[str, Command] = {
    "echo": _echo,
    "printf": _printf,
    "read": _read,
    "true": _true,
    ":": _true,
    "sync": _true,
    "umask": _true,
    "false": _false,
    "sleep": _sleep,
    "cat": _cat,
    "ls": _ls,
    "mkdir": _mkdir,
    "mktemp": _mktemp,
    "rm": _rm,
    "base64": _base64,
    "hostname": _hostname,
    "env": _env,
    "httpd": _httpd,
}
