"""A very small shell for the scripts of small images (`sh -c "echo done; exit 3"`), inside the kubelet's process.

It knows statements joined by `;`, `&&`, `||`, `|` and newlines, `$(PROGRAM)`, redirections to files and between the
streams, and the programs in programs.py. It touches nothing but the container's volumes and scratch folder. What it
does not know it says as a shell does: `sh: NAME: not found`.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

from demo.cluster.kubelet.images import Command, NoSuchProgram, Place, Terminal, image_of
from demo.cluster.kubelet.logs import LogWriter
from demo.cluster.kubelet.programs import PROGRAMS
from demo.cluster.kubelet.runs import Exit

SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash", "ash", "/bin/ash")
NOT_FOUND = 127
# A script that only eats memory, as tests of the out-of-memory killer write it.
_DOUBLING = re.compile(r"while (true|:); do (\w+)=\$\2\$\2; done")
_OPERATORS = (";", "&&", "||", "&", "|")
_INNER = re.compile(r"\$\(([^()]*)\)")
_REDIRECTIONS = (">", ">>", "<", ">&", "2>", "2>>", "2>&1", "1>&2")


class _Ended(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def script_of(place: Place) -> list[str] | None:
    """The command line of a container whose image runs scripts; None when the image has a program of its own."""
    container = place.container
    if not image_of(container).runs_scripts:
        return None
    return [*container.get("command", ()), *container.get("args", ())] or ["sh"]


def work(place: Place, log: LogWriter) -> Callable[[], Awaitable[Exit]]:
    """The main program of the container: its command line, written to its log."""

    async def write(stream: int, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            log.write(line, stream="stdout" if stream == 1 else "stderr")

    async def run() -> Exit:
        command = script_of(place) or ["sh"]
        limit = place.container.get("resources", {}).get("limits", {}).get("memory")
        if limit and any(_DOUBLING.search(each) for each in command):
            return Exit(137, "OOMKilled")
        try:
            return Exit(await run_command(place, command, Terminal(write, None)))
        except NoSuchProgram as missing:
            return Exit(128, f"StartError: {missing}")

    return run


async def run_command(place: Place, command: list[str], terminal: Terminal) -> int:
    """Run a command line in the container; its exit code. Raises NoSuchProgram when there is no such program."""
    if command[0] in SHELLS:
        if len(command) > 2 and command[1] in ("-c", "-ec", "-lc", "-ce"):
            return await run_script(place, command[2], terminal)
        return await _read_script(place, terminal)
    program = _program(place, command[0])
    if program is None:
        raise NoSuchProgram(command[0])
    try:
        return await program(place, command, terminal)
    except _Ended as end:
        return end.code


async def _read_script(place: Place, terminal: Terminal) -> int:
    """A shell without a script reads one from its input, line by line."""
    code = 0
    try:
        while terminal.stdin is not None and (line := await terminal.stdin.readline()):
            code = await _run_statements(place, line.decode(errors="replace"), terminal, code)
    except _Ended as end:
        return end.code
    return code


async def run_script(place: Place, script: str, terminal: Terminal) -> int:
    """Run a script; its exit code."""
    try:
        return await _run_statements(place, script, terminal, 0)
    except _Ended as end:
        return end.code


async def _run_statements(place: Place, script: str, terminal: Terminal, code: int) -> int:
    previous = ";"
    skipped = False
    given = terminal.stdin
    for words, operator in _statements(script):
        if previous != "|":
            skipped = bool((previous == "&&" and code) or (previous == "||" and not code))
            given = terminal.stdin
        if not skipped and operator == "|":
            into = _Pipe(terminal, given)
            code = await _run_statement(place, words, into.terminal, code)
            given = into.reader()
        elif not skipped:
            code = await _run_statement(place, words, terminal.reading(given), code)
        previous = operator
    return code


class _Pipe:
    """What a statement writes, for the next to read; its errors go where they would have gone."""

    def __init__(self, terminal: Terminal, stdin: asyncio.StreamReader | None) -> None:
        self.written = bytearray()

        async def write(stream: int, data: bytes) -> None:
            if stream == 1:
                self.written += data
            else:
                await terminal.err(data)

        self.terminal = Terminal(write, stdin)

    def reader(self) -> asyncio.StreamReader:
        """It, once the statement has ended."""
        found = asyncio.StreamReader()
        found.feed_data(bytes(self.written))
        found.feed_eof()
        return found


def _statements(script: str) -> list[tuple[list[str], str]]:
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    statements: list[tuple[list[str], str]] = []
    words: list[str] = []
    for token in lexer:
        if token in _OPERATORS:
            statements.append((words, token))
            words = []
        else:
            words.append(token)
    return [(words, operator) for words, operator in [*statements, (words, ";")] if words]


async def _run_statement(place: Place, words: list[str], terminal: Terminal, last: int) -> int:
    words = [_substitute(await _with_inner(place, word, terminal), place.variables, last) for word in words]
    words, terminal, files = _redirected(place, words, terminal)
    while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        place.variables[name] = value
    if not words:
        return 0
    program = _program(place, words[0])
    if program is None:
        await terminal.err(f"sh: {words[0]}: not found\n")
        return NOT_FOUND
    code = await program(place, words, terminal)
    for path, parts in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b"".join(parts))
    return code


async def _with_inner(place: Place, word: str, terminal: Terminal) -> str:
    """The word with what each `$(…)` in it prints."""
    while found := _INNER.search(word):
        inner = _Pipe(terminal, terminal.stdin)
        await _run_statements(place, found[1], inner.terminal, 0)
        word = word[: found.start()] + inner.written.decode(errors="replace").rstrip("\n") + word[found.end() :]
    return word


def _substitute(word: str, variables: dict[str, str], last: int) -> str:
    word = word.replace("$?", str(last))
    return re.sub(r"\$\{?([A-Za-z_]\w*)\}?", lambda match: variables.get(match[1], ""), word)


def _redirected(
    place: Place, words: list[str], terminal: Terminal
) -> tuple[list[str], Terminal, list[tuple[Path, list[bytes]]]]:
    """The words without redirections, and a terminal that obeys these; what has to be appended to which file."""
    rest: list[str] = []
    to_other = False
    into: list[bytes] | None = None
    files: list[tuple[Path, list[bytes]]] = []
    pending = iter(words)
    for word in pending:
        if word == ">&":
            to_other = next(pending, "") == "2"
            if rest and rest[-1] in ("1", "2"):
                rest.pop()
        elif word in (">", ">>"):
            path = place.path(next(pending, "null"))
            if word == ">" and path.exists():
                path.unlink()
            into = []
            files.append((path, into))
        else:
            rest.append(word)

    async def write(stream: int, data: bytes) -> None:
        if stream == 1 and into is not None:
            into.append(data)
        elif stream == 1 and to_other:
            await terminal.err(data)
        else:
            await (terminal.out(data) if stream == 1 else terminal.err(data))

    return rest, Terminal(write, terminal.stdin), files


def _program(place: Place, name: str) -> Command | None:
    taught = image_of(place.container).commands
    short = name.rpartition("/")[2]
    if name in taught or short in taught:
        return taught.get(name) or taught[short]
    known_place = "/" not in name or name.rpartition("/")[0] in ("/bin", "/usr/bin", "/sbin", "/usr/sbin")
    return _COMMANDS.get(short) if known_place else None


async def _exit(_: Place, words: list[str], __: Terminal) -> int:
    raise _Ended(int(words[1]) if len(words) > 1 else 0)


async def _become(place: Place, words: list[str], terminal: Terminal) -> int:
    """`exec PROGRAM`: nothing follows after it."""
    program = _program(place, words[1])
    if program is None:
        await terminal.err(f"sh: exec: {words[1]}: not found\n")
        raise _Ended(NOT_FOUND)
    raise _Ended(await program(place, words[1:], terminal))


_COMMANDS: dict[str, Command] = {**PROGRAMS, "exit": _exit, "exec": _become}
