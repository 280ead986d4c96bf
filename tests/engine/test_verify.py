"""A finished migration's volumes are read anew on both sides by Jobs, compared, and what differs is named."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit.models import Entry
from clusters.kube.requests import ApiConnection
from migrations_app import services
from migrations_app.lease import Lease
from migrations_app.models import Migration, Status
from migrations_app.reconcile import reconcile
from migrations_app.verifications import comparing
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, Verification, VolumeVerification
from mover.blocks import CHUNK_BYTES
from teams.models import Role, Team
from teams.refusals import Conflict
from tests.engine.conftest import Estate, eventually, told
from tests.factories import member

FILE = "wordpress/wp_posts.ibd"
# Its first byte alone, which is in its first chunk.
FLIPPED = {
    "path": FILE,
    "what": ["content"],
    "newer": "",
    "ranges": [{"offset": 0, "length": CHUNK_BYTES}],
    "more_ranges": False,
}


class Killed(BaseException):
    """The worker process dies here."""


@pytest.fixture
def migration(estate: Estate) -> Migration:
    """A migration with its volumes alone: on the destination nobody uses them."""
    migration = estate.drive(estate.start(include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    return migration


def verified(estate: Estate, migration: Migration) -> dict[str, VolumeVerification]:
    """Ask for a verification, and drive it to its end; the rows by claim."""
    verifications.verify(migration, by=estate.by)
    return finished(estate, migration)


def finished(estate: Estate, migration: Migration) -> dict[str, VolumeVerification]:
    estate.drive(migration, until=lambda migration: not migration.is_verifying)
    assert estate.leftovers() == []
    verification = Verification.objects.get(migration=migration)
    assert verification.key == ""
    return {row.volume.claim: row for row in verification.volumes.select_related("volume__migration")}


def on_destination(estate: Estate, claim: str = "px-mysql-pvc") -> Path:
    return Path(estate.prod.volume_path("cms", claim))


def flip(path: Path) -> None:
    """Change one byte, and leave everything else as it is."""
    status = path.stat()
    with path.open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_both_sides_are_the_same(estate: Estate, migration: Migration) -> None:
    rows = verified(estate, migration)
    assert {row.status for row in rows.values()} == {Verdict.SAME}
    for row in rows.values():
        assert row.source["digest"] == row.destination["digest"]
        assert row.source["files"] > 0
        # On the source the application runs and uses them.
        assert row.source["used_by"]
        assert row.destination["used_by"] == []
    verification = migration.verification
    assert verification.status == Verdict.SAME
    assert verification.requested_by == estate.by.user
    assert verification.reason == "2 of 2 volumes are the same on both sides, every file read anew"
    reasons = list(migration.events.values_list("reason", flat=True))
    assert reasons[-4:] == ["Verifying", "VolumeSame", "VolumeSame", "VerificationFinished"]
    entry = Entry.objects.get(action="migration.verify")
    assert (entry.actor_name, entry.address) == (estate.by.name, "192.0.2.7")
    # Nothing of the verdict on the migration changed, and the next one begins anew.
    assert Migration.objects.get(pk=migration.pk).status == Status.SUCCESSFUL
    first = verification.pk
    assert {row.status for row in verified(estate, migration).values()} == {Verdict.SAME}
    assert Verification.objects.get(migration=migration).pk != first


def test_a_byte_that_was_changed_is_found_and_its_path_is_named(
    estate: Estate, migration: Migration, client: Client
) -> None:
    flip(on_destination(estate) / FILE)
    bob, mallory = (
        member("bob", estate.team, Role.VIEWER),
        member("mallory", Team.objects.create(name="Other"), Role.ADMIN),
    )
    path = f"/api/v1/migrations/{migration.pk}/verify/"
    for user, status in ((mallory, 404), (bob, 403), (estate.by.user, 200)):
        client.force_login(user)
        assert client.post(path).status_code == status
    rows = finished(estate, migration)
    client.force_login(bob)
    told_of = {row["claim"]: row for row in client.get(path).json()["volumes"]}
    assert told_of["px-mysql-pvc"]["differences"] == [FLIPPED]
    assert (told_of["px-wp-pvc"]["status"], told_of["px-wp-pvc"]["differences"]) == ("Same", [])
    row = rows["px-mysql-pvc"]
    assert rows["px-wp-pvc"].status == Verdict.SAME
    assert (row.status, row.differing, row.differing_at_least) == (Verdict.DIFFERENT, 1, False), row.reason
    assert row.differences == [FLIPPED]
    warning = migration.events.get(reason="VolumeDifferent")
    assert warning.type == "Warning"
    assert f"{FILE} (content; in it {CHUNK_BYTES} bytes from 0)" in warning.message
    verification = Verification.objects.get(migration=migration)
    assert verification.status == Verdict.DIFFERENT
    assert verification.reason == (
        "1 of 2 volumes are the same on both sides, every file read anew; cms/px-mysql-pvc differs"
    )


def test_every_kind_of_difference_is_named_with_the_newer_side(estate: Estate, migration: Migration) -> None:
    root = on_destination(estate)
    (root / FILE).chmod(0o600)
    os.chown(root / FILE, 12, 34)
    (root / "wordpress" / "new file").write_bytes(b"x")
    (root / "ibdata1").unlink()
    os.setxattr(root / FILE, "user.note", b"x")
    row = verified(estate, migration)["px-mysql-pvc"]
    found = {each["path"]: each for each in row.differences}
    assert found[FILE]["what"] == ["mode", "owner", "xattrs"]
    assert found["wordpress/new file"]["what"] == ["only on the destination"]
    assert found["ibdata1"]["what"] == ["only on the source"]
    assert found["."] == {"path": ".", "what": ["mtime"], "newer": "destination"}
    assert row.newer == "destination"
    assert row.newest("destination") > row.newest("source")  # type: ignore[operator]
    assert "The destination was written to later." in migration.events.get(reason="VolumeDifferent").message


def test_an_application_at_work_is_told_of(estate: Estate) -> None:
    migration = estate.drive(estate.start())
    assert migration.status == Status.SUCCESSFUL, told(migration)
    (on_destination(estate, "px-wp-pvc") / "written by the application").write_bytes(b"x")
    row = verified(estate, migration)["px-wp-pvc"]
    assert row.status == Verdict.DIFFERENT
    assert [side for side, _pod in row.used_by] == ["source", "destination"]
    said = migration.events.get(reason="VolumeDifferent").message
    assert "an application at work changes its files, so that is normal" in said
    assert row.used_by[1][1] in said


def test_a_claim_that_is_gone_is_told(estate: Estate, migration: Migration) -> None:
    prod = estate.on("prod")
    prod.delete("persistentvolumeclaims", "px-wp-pvc", "cms")
    eventually(lambda: "px-wp-pvc" not in estate.objects("prod", "persistentvolumeclaims"))
    rows = verified(estate, migration)
    assert rows["px-mysql-pvc"].status == Verdict.SAME
    row = rows["px-wp-pvc"]
    assert row.status == Verdict.UNREADABLE
    assert row.reason == "The destination cluster prod has no claim cms/px-wp-pvc any more."
    assert migration.verification.status == Verdict.UNREADABLE


def test_a_namespace_that_is_gone_is_told(estate: Estate, migration: Migration) -> None:
    estate.on("prod").delete("namespaces", "cms")
    eventually(lambda: "cms" not in {e["metadata"]["name"] for e in estate.on("prod").list("namespaces")})
    rows = verified(estate, migration)
    assert {row.status for row in rows.values()} == {Verdict.UNREADABLE}


def test_what_a_reader_says_when_it_fails_is_told(estate: Estate, migration: Migration, settings: Any) -> None:
    settings.MOVER_WORKERS = "many"
    rows = verified(estate, migration)
    assert {row.status for row in rows.values()} == {Verdict.UNREADABLE}
    assert {row.reason for row in rows.values()} == {"Source: MOVER_WORKERS must be a number above 0."}


def test_a_cluster_out_of_reach_is_waited_for(estate: Estate, migration: Migration) -> None:
    good = estate.pair.destination.kubeconfig
    estate.change(estate.pair.destination, kubeconfig=good.replace(str(estate.prod.server), "https://127.0.0.1:9"))
    verifications.verify(migration, by=estate.by)
    delayed = migration.events.filter(reason="VerificationDelayed")
    estate.drive(migration, until=lambda _: delayed.exists())
    assert Verification.objects.get(migration=migration).is_under_way
    estate.change(estate.pair.destination, kubeconfig=good)
    assert {row.status for row in finished(estate, migration).values()} == {Verdict.SAME}


def test_owners_that_could_not_be_kept_are_not_compared(estate: Estate, migration: Migration) -> None:
    os.chown(on_destination(estate) / FILE, 12, 34)
    volume = migration.volumes.get(claim="px-mysql-pvc")
    volume.unkept = [{"what": "owner", "count": 3, "example": FILE}, {"what": "socket", "count": 1}]
    volume.save()
    row = verified(estate, migration)["px-mysql-pvc"]
    assert (row.status, row.left_out) == (Verdict.SAME, ["owner"])


def test_a_worker_that_dies_before_any_write_changes_nothing(
    estate: Estate, migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(on_destination(estate) / FILE)
    verifications.verify(migration, by=estate.by)
    written = 0
    deadly = 0
    answered, renewed = ApiConnection.request, Lease.renew

    def dying(self: ApiConnection, method: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal written
        answer = answered(self, method, *args, **kwargs)
        if method in ("POST", "DELETE", "PATCH"):
            written += 1
            if written == deadly:
                raise Killed
        return answer

    def renewing(self: Lease) -> None:
        nonlocal written
        renewed(self)
        written += 1
        if written == deadly:
            raise Killed

    monkeypatch.setattr(ApiConnection, "request", dying)
    monkeypatch.setattr(Lease, "renew", renewing)

    deadline = time.monotonic() + 120
    killed = 0
    # Of each look, die at the first write, then at the second, until it comes to its end.
    while Migration.objects.get(pk=migration.pk).is_verifying:
        assert time.monotonic() < deadline, told(migration)
        written, deadly = 0, deadly + 1
        try:
            reconcile(migration.pk)
            deadly = 0
        except Killed:
            # Its lease runs out.
            killed += 1
            Migration.objects.filter(pk=migration.pk).update(lease_token=None, lease_expires_at=None)
    monkeypatch.undo()
    assert killed > 10
    rows = finished(estate, migration)
    assert rows["px-mysql-pvc"].differences == [FLIPPED]
    assert rows["px-wp-pvc"].status == Verdict.SAME
    assert migration.events.filter(reason="VerificationFinished").count() == 1
    assert migration.events.filter(reason="VolumeDifferent").count() == 1


def test_it_can_be_stopped(estate: Estate, migration: Migration) -> None:
    verifications.verify(migration, by=estate.by)
    # Asking again while it is under way changes nothing.
    assert verifications.verify(migration, by=estate.by).verification.pk == migration.verification.pk
    assert Entry.objects.filter(action="migration.verify").count() == 1
    for ask in (services.roll_back, services.remove):
        with pytest.raises(Conflict, match="is being verified"):
            ask(Migration.objects.get(pk=migration.pk), by=estate.by)
    estate.drive(migration, until=lambda _: bool(estate.objects("prod", "jobs.batch")))
    verifications.stop(migration, by=estate.by)
    rows = finished(estate, migration)
    assert Verdict.CANCELLED in {row.status for row in rows.values()}
    assert Verification.objects.get(migration=migration).status == Verdict.CANCELLED
    with pytest.raises(Conflict, match="No verification"):
        verifications.stop(Migration.objects.get(pk=migration.pk), by=estate.by)
    # And afterwards everything is as before.
    assert {row.status for row in verified(estate, migration).values()} == {Verdict.SAME}


def test_jobs_read_only_and_know_no_secret_but_the_key_of_this_verification(
    estate: Estate, migration: Migration
) -> None:
    verifications.verify(migration, by=estate.by)
    estate.drive(migration, until=lambda _: all(estate.objects(name, "jobs.batch") for name in ("dev", "prod")))
    key = Verification.objects.get(migration=migration).key
    for name in ("dev", "prod"):
        for job in estate.objects(name, "jobs.batch").values():
            pod = job["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            assert container["args"][0] == "digest"
            (mount,) = (each for each in container["volumeMounts"] if each["name"] == "data")
            assert mount["readOnly"] is True
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            assert key not in str(job)
        for secret in estate.objects(name, "secrets").values():
            if secret["metadata"]["name"].startswith("kubemotion-"):
                assert list(secret["data"]) == ["MOVER_DIGEST_KEY"]
                assert secret["metadata"]["ownerReferences"][0]["kind"] == "Job"
    finished(estate, migration)


def test_a_claim_that_a_pod_uses_is_read_beside_it(estate: Estate, migration: Migration) -> None:
    prod = estate.on("prod")
    holder = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holder", "namespace": "cms"},
        "spec": {
            "containers": [{"name": "c", "image": "busybox", "args": ["sleep", "1000"]}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "px-wp-pvc"}}],
            "terminationGracePeriodSeconds": 1,
        },
    }
    prod.create("pods", holder)
    row = verified(estate, migration)["px-wp-pvc"]
    assert row.status == Verdict.SAME
    assert row.destination["used_by"] == ["holder"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": Status.IN_PROGRESS}, "still under way"),
        ({"rollback_requested_at": "2026-01-01T00:00:00Z"}, "rolled back"),
        ({"status": Status.CANCELLED}, "was removed then"),
        ({"include_volumes": False}, "nothing to verify"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(
    estate: Estate, migration: Migration, change: dict[str, Any], said: str
) -> None:
    Migration.objects.filter(pk=migration.pk).update(**change)
    row = Migration.objects.get(pk=migration.pk)
    assert not verifications.may_be_verified(row)
    with pytest.raises(Conflict, match=said):
        verifications.verify(row, by=estate.by)


def test_the_second_look_stays_within_a_log() -> None:
    buckets = list(range(comparing.BUCKETS))
    assert len(comparing.few_enough(buckets, 100)) == comparing.MOST_NAMED
    assert len(comparing.few_enough(buckets, 1_000_000)) == 40
    assert len(comparing.few_enough(buckets, 1_000_000_000)) == 1
