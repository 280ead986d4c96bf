"""The scripts that make credentials, run by a real shell with a `pxctl` that writes down how it was called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clusters.kube.streams import ExecResult
from clusters.portworx import credentials, pods
from clusters.portworx.credentials import AzureKeys, GoogleKeys, Keys, S3Keys
from clusters.portworx.errors import PortworxError, PxctlError

NASTY = "a b'c\"d$(touch /tmp/never)`x`\\n;&|*"
PXCTL = """#!/bin/sh
for each in "$@"; do printf '%s\\n' "$each" >> {log}; done
case "$*" in *--google-json-key-file*) shift 6; cat "$2" > {log}.file;; esac
echo "Credentials created successfully, UUID:59d1f0ea-9322-446f-b4db-10c918664af9"
"""


class LocalShell:
    """`exec` into a pod, as a process of this machine; `asked` is what would stand in the audit log."""

    def __init__(self, folder: Path, program: str = PXCTL) -> None:
        self.log = folder / "log"
        self.path = folder / "pxctl"
        self.path.write_text(program.format(log=self.log))
        self.path.chmod(0o755)
        self.asked: list[str] = []

    def exec(self, pod: str, namespace: str, words: list[str], *, stdin: bytes = b"", **_: Any) -> ExecResult:
        self.asked = words
        run = [word.replace(pods.PXCTL, str(self.path)) for word in words]
        done = subprocess.run(run, input=stdin, capture_output=True, timeout=30, check=False)
        return ExecResult(done.stdout, done.stderr, done.returncode)


def portworx(shell: LocalShell) -> pods.Portworx:
    return pods.Portworx(shell, "kube-system", "portworx-1", "portworx")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (
            S3Keys(region="ap-southeast-1", access_key="AKID", secret_key=NASTY),
            "--provider s3 --s3-region ap-southeast-1 --s3-endpoint s3.ap-southeast-1.amazonaws.com "
            f"--s3-access-key AKID --s3-secret-key|{NASTY}|clusterPair_x",
        ),
        (
            S3Keys("eu", "AKID", NASTY, endpoint="s3:9000", bucket="b", disable_ssl=True, path_style=False),
            "--provider s3 --s3-region eu --s3-endpoint s3:9000 --bucket b --s3-disable-ssl --disable-path-style "
            f"--s3-access-key AKID --s3-secret-key|{NASTY}|clusterPair_x",
        ),
        (
            AzureKeys("portworxtest", NASTY),
            f"--provider azure --azure-account-name portworxtest --azure-account-key|{NASTY}|clusterPair_x",
        ),
    ],
)
def test_pxctl_gets_the_keys_and_the_command_line_of_exec_does_not(tmp_path: Path, keys: Keys, wanted: str) -> None:
    shell = LocalShell(tmp_path)
    assert credentials.create(portworx(shell), "clusterPair_x", keys) == "59d1f0ea-9322-446f-b4db-10c918664af9"
    plain, secret, name = wanted.split("|", 1)[0].split(" "), NASTY, "clusterPair_x"
    assert shell.log.read_text().split("\n")[:-1] == ["credentials", "create", *plain, secret, name]
    assert NASTY not in " ".join(shell.asked)
    assert "AKID" not in " ".join(shell.asked)


def test_the_json_key_of_google_is_a_file_for_as_long_as_pxctl_runs(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    key = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nopen-sesame\n"}, indent=2)
    credentials.create(portworx(shell), "clusterPair_x", GoogleKeys("px-test", key))
    words = shell.log.read_text().splitlines()
    assert words[:5] == ["credentials", "create", "--provider", "google", "--google-project-id"]
    file = Path(words[words.index("--google-json-key-file") + 1])
    assert Path(f"{shell.log}.file").read_text() == key
    assert not file.exists()
    assert "sesame" not in " ".join(shell.asked)


def test_what_pxctl_says_is_shown_without_the_secrets_that_it_repeats(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path, '#!/bin/sh\necho "bad flag: $*" >&2; exit 3\n# {log}')
    with pytest.raises(PxctlError, match=r"bad flag: .* --s3-region eu") as refused:
        credentials.create(portworx(shell), "c", S3Keys("eu", "AKID-canary", "open-sesame-canary"))
    assert "canary" not in str(refused.value)
    assert "canary" not in refused.value.said


def test_a_key_with_a_line_break_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path)
    with pytest.raises(PortworxError, match="line break"):
        credentials.create(portworx(shell), "c", S3Keys("eu", "AKID", "one\ntwo"))
    assert not shell.asked


def test_keys_are_not_in_the_representation_of_their_values() -> None:
    for keys in (S3Keys("eu", "canary", "canary"), AzureKeys("a", "canary"), GoogleKeys("p", "canary")):
        assert "canary" not in repr(keys)
