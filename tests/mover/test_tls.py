"""Over TLS: what is trusted works, and what is not is said with its reason, by every command and at once."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.cluster import certificates
from demo.s3 import running_s3
from mover.errors import StoreRefused, UsageError
from tests.mover.conftest import Bench, new_bench
from tests.mover.trees import assert_same, plausible_tree

AUTHORITY = certificates.authority("the store's CA")
STRANGER = certificates.authority("another CA")
DAY = datetime.timedelta(days=1)


@contextmanager
def serving(folder: Path, server: certificates.Pair, trusted: str = AUTHORITY.certificate) -> Iterator[Bench]:
    """A store that shows this certificate, and a volume whose mover trusts that CA."""
    certificates.kept(folder, "server", server)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.crt", folder / "server.key")
    with running_s3(folder / "s3", tls=tls) as s3:
        bench = new_bench(s3)
        bench.environment["MOVER_S3_CA_BUNDLE_PEM"] = trusted
        yield bench


def issued(**about: object) -> certificates.Pair:
    return certificates.issued(AUTHORITY, "store", **{"hosts": ("127.0.0.1",), **about})  # type: ignore[arg-type]


def test_a_volume_goes_through_a_store_whose_ca_is_given(tmp_path: Path, source: Path, destination: Path) -> None:
    plausible_tree(source, files=20, large=2 << 20)
    with serving(tmp_path, issued()) as bench:
        pushed = bench.run("push", source)
        assert bench.run("pull", destination)["digest"] == pushed["digest"]
        assert_same(source, destination)
        assert bench.run("gc") == {"objects": 0, "bytes": 0, "uploads": 0}
        assert bench.run("clean")["files"] > 0


@pytest.mark.parametrize(
    ("server", "trusted", "said"),
    [
        (issued, STRANGER.certificate, "is not trusted (unable to get local issuer certificate). Give the certificate"),
        (issued, "", "is not trusted (unable to get local issuer certificate). Give the certificate"),
        (lambda: issued(valid=-DAY), AUTHORITY.certificate, "has expired by the clock of this pod's node. Renew it"),
        (lambda: issued(hosts=("127.0.0.2",)), AUTHORITY.certificate, "is for another name than that"),
        (lambda: issued(hosts=("store.example",)), AUTHORITY.certificate, "is for another name than that"),
    ],
    ids=["of another CA", "of no CA that is given", "expired", "of another address", "of another name"],
)
def test_a_certificate_that_does_not_do_is_refused_with_its_reason(
    tmp_path: Path, source: Path, server: Callable[[], certificates.Pair], trusted: str, said: str
) -> None:
    with serving(tmp_path, server(), trusted) as bench:
        for command, path in (("push", source), ("pull", tmp_path / "s3"), ("verify", source), ("clean", None)):
            with pytest.raises(StoreRefused) as caught:
                bench.run(command, path)
            assert (caught.value.code, caught.value.retriable) == ("store-untrusted", False)
            assert bench.s3.endpoint in caught.value.message
            if command != "clean":
                assert said in caught.value.message


def test_a_ca_that_is_no_certificate_is_a_usage_error(tmp_path: Path, source: Path) -> None:
    with serving(tmp_path, issued(), "-----BEGIN NOTHING-----") as bench, pytest.raises(UsageError) as caught:
        bench.run("push", source)
    assert "MOVER_S3_CA_BUNDLE_PEM" in caught.value.message


def test_a_store_that_speaks_no_tls_is_unavailable_and_not_waited_for_long(bench: Bench, source: Path) -> None:
    ended = bench.process(
        "push",
        source,
        environment={
            "MOVER_S3_ENDPOINT": bench.s3.endpoint.replace("http:", "https:"),
            "MOVER_S3_RETRY_SECONDS": "0.5",
        },
    )
    assert (ended.status, ended.last["code"]) == (3, "store-unavailable")
    assert "does not speak TLS" in ended.last["message"]
