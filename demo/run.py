"""The demo as a whole: the estate's processes, the product's processes, the seed, and what is done with them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo import ports
from demo.processes import Part, PartFailedError, Tree

ROOT = Path(__file__).resolve().parent.parent
CLUSTER_PORTS = {"dev": 6443, "prod": 7443}
S3_PORT = 9000
USER = "demo"
# The demo listens on the loopback interface only, and holds nothing but made-up data.
PASSWORD = "kubemotion-demo"


class Demo:
    """One run. `state` holds everything; `port` is the wanted port of the pages, 0 for any."""

    def __init__(self, state: Path, *, port: int, megabytes: int, say: Callable[[str], None]) -> None:
        self.state = state.absolute()
        self.wanted_port = port
        self.megabytes = megabytes
        self.say = say
        self.tree = Tree()
        self.clusters: dict[str, dict[str, Any]] = {}
        self.s3: dict[str, Any] = {}
        self.token = ""
        self.address = ""
        self.database: ScratchDatabase | None = None
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        """Start everything and return once the pages answer. Raises PartFailedError."""
        self.state.mkdir(parents=True, exist_ok=True)
        alone = self.wanted_port == 0
        self.environment = {
            "KUBEMOTION_STATE_DIR": str(self.state / "app"),
            "PYTHONPATH": str(ROOT),
            "KUBEMOTION_ALLOW_LOOPBACK": "true",
        }
        if alone and os.environ.get("DATABASE_URL", "").startswith("postgres"):
            self.database = ScratchDatabase(os.environ["DATABASE_URL"])
            self.environment["DATABASE_URL"] = self.database.create()
        if alone and os.environ.get("REDIS_URL"):
            mine = f"kubemotion-{secrets.token_hex(4)}"
            self.environment |= {"KUBEMOTION_CHANNEL_PREFIX": mine, "KUBEMOTION_QUEUE": mine}
        self._start_estate(alone)
        self._manage("migrate", "--verbosity", "0")
        seeded = self._manage("demo_seed", given=json.dumps({"clusters": self.clusters, "s3": self.s3}))
        self.token = json.loads(seeded)["token"]
        self._start_product()

    def _start_estate(self, alone: bool) -> None:
        self.say("Starting two simulated clusters and an object store …")
        wanted = {name: 0 if alone else ports.wanted_or_free(port) for name, port in CLUSTER_PORTS.items()}
        arguments = [
            "-m",
            "demo.clusters",
            "--state",
            str(self.state / "clusters"),
            "--estate",
            str(self.megabytes),
        ]
        for name, port in wanted.items():
            arguments += ["--cluster", f"{name}={port}"]
        clusters = self._part("clusters", arguments, ready_line=True)
        s3_port = 0 if alone else ports.wanted_or_free(S3_PORT)
        s3 = self._part(
            "s3",
            ["-m", "demo.s3", "--state", str(self.state / "s3"), "--port", str(s3_port)],
            ready_line=True,
        )
        self.clusters = clusters.announced["clusters"]
        self.s3 = s3.announced
        # Whoever starts again must come back at the same address: the product knows it by that.
        for name, cluster in self.clusters.items():
            clusters.arguments = _with_port(clusters.arguments, name, int(cluster["server"].rsplit(":", 1)[1]))
        s3.arguments[-1] = str(int(self.s3["endpoint"].rsplit(":", 1)[1]))

    def _start_product(self) -> None:
        port = ports.wanted_or_free(self.wanted_port)
        if self.wanted_port and port != self.wanted_port:
            self.say(f"Port {self.wanted_port} is taken by another program; the pages are at port {port} instead.")
        self.address = f"http://127.0.0.1:{port}"
        web = ["manage.py", "serve", "--port", str(port)]
        if os.environ.get("REDIS_URL"):
            for role in ("worker", "sweep", "watcher"):
                self._part(role, ["manage.py", "serve", role])
            self._part("web", [*web, "web"], ready=self._answers)
        else:
            self._part("web", web, ready=self._answers)

    def _part(self, name: str, arguments: list[str], **options: Any) -> Part:
        if arguments[0] == "manage.py":
            arguments = [str(ROOT / "manage.py"), *arguments[1:]]
        log = self.state / "logs" / f"{name}.log"
        return self.tree.start(Part(name, arguments, log, environment=self.environment, **options))

    def _manage(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            input=given,
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            check=False,
        )
        if done.returncode:
            raise PartFailedError(f"manage.py {arguments[0]} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def run_until_interrupted(self) -> None:
        """Say where to look, start again what dies, and return on SIGINT or SIGTERM. Raises PartFailedError."""
        self.tree.keep_up()
        self.say(
            f"\n  Kubemotion Web   {self.address}\n"
            f"  sign in as       {USER}\n"
            f"  password         {PASSWORD}\n\n"
            "  Migrations, New migration: pair dev-to-prod (our own engine) or dev-to-prod-portworx (Portworx and\n"
            "  Stork), namespace cms, Migrate.\n"
            f"  Logs are in {self.state / 'logs'}.\n"
            "  Stop with Ctrl-C; `make demo` continues, `make demo-reset` begins anew.\n"
        )
        self.tree.stopping.wait()
        if self.tree.failure is not None:
            raise self.tree.failure

    def check(self, engine: str = "native") -> dict[str, Any]:
        """Perform the reference story through the API; the summary says what was verified and what differed."""
        from demo import check

        self.tree.keep_up()
        return check.story(self.address, self.token, self.clusters, self.state / "clusters", engine=engine)

    def take_screenshots(self, folder: Path) -> None:
        """Pictures of every page, before and after a migration."""
        from demo import planted, screenshots

        self.tree.keep_up()
        planted.plant({name: cluster["kubeconfig"] for name, cluster in self.clusters.items()})
        screenshots.take(self.address, user=USER, password=PASSWORD, folder=folder)

    def stop(self) -> None:
        self.tree.stop()
        if self.database is not None:
            self.database.drop()


class ScratchDatabase:
    """A database of its own beside the given one, so that a check neither finds nor leaves anything."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"kubemotion_check_{secrets.token_hex(4)}"

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def create(self) -> str:
        """Make it; its URL."""
        self._execute(f'CREATE DATABASE "{self.name}"')
        base, question_mark, query = self.url.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{self.name}{question_mark}{query}"

    def drop(self) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def _with_port(arguments: list[str], name: str, port: int) -> list[str]:
    return [f"{name}={port}" if argument.startswith(f"{name}=") else argument for argument in arguments]
