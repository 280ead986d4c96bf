"""What Portworx has moved is verified by the same Jobs as what our movers have."""

from __future__ import annotations

from migrations_app.models import Status
from migrations_app.verifications import services as verifications
from tests.engine.conftest import Estate, told
from tests.portworx_engine import nine


def test_what_stork_has_moved_is_read_anew_and_compared(px: Estate) -> None:
    migration = px.drive(px.start(start_applications=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    changed = px.prod.volume_path("cms", nine.CLAIMS[0]) / "changed by hand"
    changed.write_bytes(b"x")
    assert verifications.may_be_verified(migration)
    verifications.verify(migration, by=px.by)
    migration = px.drive(migration, until=lambda migration: not migration.is_verifying)
    rows = {row.volume.claim: row for row in migration.verification.volumes.select_related("volume")}
    assert {claim: row.status for claim, row in rows.items()} == {
        nine.CLAIMS[0]: "Different",
        nine.CLAIMS[1]: "Same",
    }, told(migration)
    assert "changed by hand" in {each["path"] for each in rows[nine.CLAIMS[0]].differences}
    for name in ("dev", "prod"):
        assert not [each for each in px.objects(name, "jobs.batch") if each.startswith("kubemotion-")]
