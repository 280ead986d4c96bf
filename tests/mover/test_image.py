"""The mover's image: what its Containerfile takes is there, and with that alone the mover works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.mover.conftest import REPOSITORY, Bench, finished
from tests.mover.trees import assert_same, plausible_tree

CONTAINERFILE = REPOSITORY / "deploy" / "Containerfile"
LOCK = REPOSITORY / "requirements" / "mover.txt"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, lines joined and comments taken out."""
    text = "\n".join(line for line in CONTAINERFILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def locked() -> list[str]:
    """The packages that the image installs."""
    lines = [line.rstrip(" \\") for line in LOCK.read_text().splitlines() if re.match(r"[a-z]", line)]
    wanted = [Requirement(line) for line in lines]
    return [each.name for each in wanted if each.marker is None or each.marker.evaluate()]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two folders of the image, made from the packages that are installed here."""
    root = tmp_path_factory.mktemp("image")
    packages = root / "packages"
    for name in locked():
        for file in distribution(name).files or ():
            source = Path(str(file.locate()))
            if file.parts[0] in ("..", "bin") or not source.is_file():
                continue
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for folder in (packages / "botocore" / "data").iterdir():
        if folder.is_dir() and folder.name != "s3":
            shutil.rmtree(folder)
    shutil.copytree(REPOSITORY / "mover", root / "app" / "mover", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def run(image: Path, bench: Bench, *arguments: str) -> subprocess.Popen[str]:
    """Start the image's program with nothing else on its path."""
    path = f"{image / 'packages'}:{image / 'app'}"
    return subprocess.Popen(
        [sys.executable, "-S", "-m", "mover", *arguments],
        cwd="/",
        env={**bench.environment, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_mover_works_with_what_is_in_its_image(image: Path, bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source)
    before = set(image.rglob("*"))
    for arguments in (
        ("push", "--path", str(source)),
        ("pull", "--path", str(destination)),
        ("verify", "--path", str(destination)),
        ("gc",),
    ):
        outcome = finished(run(image, bench, *arguments))
        assert outcome.status == 0, (arguments, outcome.lines, outcome.stderr)
    assert_same(source, destination)
    assert finished(run(image, bench, "clean")).status == 0
    assert bench.objects() == []
    assert set(image.rglob("*")) == before, "it wrote into the image"


def test_nothing_of_the_product_is_on_its_path(image: Path, bench: Bench) -> None:
    found = {each.name for each in [*(image / "packages").iterdir(), *(image / "app").iterdir()]}
    assert not found & {"django", "channels", "celery", "migrations_app", "clusters", "demo"}
    size = sum(file.stat().st_size for file in image.rglob("*") if file.is_file())
    assert size < 64 << 20, f"{size >> 20} MiB"


def test_the_containerfile_takes_what_is_there_and_runs_as_nobody() -> None:
    found = instructions()
    for _, arguments in [each for each in found if each[0] == "COPY" and not each[1].startswith("--from")]:
        assert (REPOSITORY / arguments.split()[0]).exists()
    last = {word: arguments for word, arguments in found if word != "COPY"}
    user, _, group = last["USER"].partition(":")
    assert user.isdigit(), "runAsNonRoot can only be checked for a number"
    assert int(user) > 0
    assert group.isdigit()
    assert last["ENTRYPOINT"] == '["python", "-m", "mover"]'
    assert "--require-hashes" in next(arguments for word, arguments in found if word == "RUN")
    assert all(arguments.startswith("docker.io/library/python:") for word, arguments in found if word == "FROM")
    assert "org.opencontainers.image.title" in last["LABEL"]


def test_the_product_has_a_containerfile_of_its_own() -> None:
    text = (REPOSITORY / "deploy" / "Containerfile.web").read_text()
    for line in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (REPOSITORY / line).exists(), line
    assert re.search(r"^USER \d+", text, re.MULTILINE)
    assert os.path.exists(LOCK)
