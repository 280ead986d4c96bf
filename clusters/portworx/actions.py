"""Stork's Actions: failover and failback of the applications of a MigrationSchedule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from clusters.portworx.migration import API_VERSION, GROUP
from clusters.portworx.tables import created

Object = dict[str, Any]
ACTIONS = f"actions.{GROUP}"
# Stages in the words of `storkctl get failover` and `get failback`.
FAILOVER_STAGES = {
    "": "Validations",
    "ScaleDownSource": "Scale Down (on source)",
    "WaitAfterScaleDown": "Waiting for Apps to Scale Down (on source)",
    "LastMileMigration": "Last Mile Migration (from source -> destination)",
    "ScaleUpDestination": "Scale Up (on destination)",
    "ScaleUpSource": "Rolling Back Scale Down (on source)",
    "Final": "Completed",
}
FAILBACK_STAGES = {
    "": "Validations",
    "ScaleDownDestination": "Scale Down (on destination)",
    "WaitAfterScaleDown": "Waiting for Apps to Scale Down (on destination)",
    "LastMileMigration": "Last Mile Migration (from destination -> source)",
    "ScaleUpSource": "Scale Up (on source)",
    "ScaleUpDestination": "Rolling Back Scale Down (on destination)",
    "Final": "Completed",
}


class Kind(StrEnum):
    """What an Action does."""

    FAILOVER = "failover"
    FAILBACK = "failback"

    def stage(self, stage: str) -> str:
        """The stage as storkctl calls it."""
        return (FAILOVER_STAGES if self is Kind.FAILOVER else FAILBACK_STAGES).get(stage, stage)


@dataclass(frozen=True)
class ActionStatus:
    """An Action as it stands; `info` is what storkctl shows as MORE INFO."""

    name: str
    namespace: str
    kind: Kind
    schedule: str
    stage: str
    status: str
    reason: str
    info: str
    created: str

    @property
    def stage_text(self) -> str:
        """The stage as storkctl calls it."""
        return self.kind.stage(self.stage)

    @property
    def is_over(self) -> bool:
        return self.stage == "Final"


def name_for(kind: Kind, schedule: str, now: datetime | None = None) -> str:
    """`failover-sched1-2026-11-23-052145`, as storkctl names them."""
    return f"{kind}-{schedule}-{(now or datetime.now(UTC)):%Y-%m-%d-%H%M%S}"


def manifest(
    kind: Kind, name: str, namespace: str, schedule: str, *, namespaces: Iterable[str], skip_source: bool = False
) -> Object:
    """The whole object. `skip_source` leaves the source alone (failover only), for one that is lost."""
    parameter: Object = {f"{kind}Namespaces": list(namespaces), "migrationScheduleReference": schedule}
    if kind is Kind.FAILOVER:
        parameter["skipSourceOperations"] = skip_source
    return {
        "apiVersion": API_VERSION,
        "kind": "Action",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"actionType": str(kind), "actionParameter": {f"{kind}Parameter": parameter}},
    }


def read(obj: Object) -> ActionStatus | None:
    """An Action from its object; None for one that is neither failover nor failback."""
    metadata, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("status") or {}
    try:
        kind = Kind(str(spec.get("actionType")))
    except ValueError:
        return None
    parameter = (spec.get("actionParameter") or {}).get(f"{kind}Parameter") or {}
    return ActionStatus(
        name=str(metadata.get("name", "")),
        namespace=str(metadata.get("namespace", "")),
        kind=kind,
        schedule=str(parameter.get("migrationScheduleReference") or ""),
        stage=str(status.get("stage") or ""),
        status=str(status.get("status") or ""),
        reason=str(status.get("reason") or ""),
        info=_info(kind, status),
        created=created(metadata.get("creationTimestamp")),
    )


def _info(kind: Kind, status: Object) -> str:
    rows = (status.get("summary") or {}).get(f"{kind}Summary") or []
    if not rows:
        return ""
    for wanted, said in (("Successful", "Scaled up Apps in"), ("RollbackSuccessful", "Rolled back Apps in")):
        done = sum(row.get("status") == wanted for row in rows)
        if done:
            return f"{said} : {done}/{len(rows)} namespaces"
    return f"Scaled up Apps in : 0/{len(rows)} namespaces"
