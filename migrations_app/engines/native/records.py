"""What became of objects, written down together every moment: rows and events, then one push.

What is to be changed or purged is written down before that is done, with what it was: a worker that is killed in
between leaves the row from which it can be restored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils import timezone

from migrations_app import events, live
from migrations_app.events import Said
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, Status
from migrations_app.resources.apply import Change, Result
from migrations_app.resources.marks import key_of, migration_of
from migrations_app.resources.meeting import Action, lent
from migrations_app.resources.restoring import Former

BATCH_SECONDS = 0.3
DONE = (Status.SUCCESSFUL, Status.FAILED)
CHANGING, PURGING = "changing", "purging"
# What a change that was begun ends as.
ENDS = {CHANGING: "updated", PURGING: "purged"}
Key = tuple[str, str, str, str]


def key_of_row(row: MigrationResource) -> Key:
    return row.group, row.kind, row.namespace, row.name


class Records:
    """The rows of a migration's resources, written in batches with the renewal of the lease."""

    def __init__(self, migration: Migration, lease: Lease) -> None:
        self._migration, self._lease = migration, lease
        self._results: list[Result] = []
        self._written_at = time.monotonic()

    def note(self, result: Result) -> None:
        self._results.append(result)
        if time.monotonic() - self._written_at >= BATCH_SECONDS:
            self.write()

    def before(self, changes: Sequence[Change]) -> None:
        """Write down what is about to be changed. Raises LeaseLostError: then nothing may be changed."""
        formers = {}
        for change in changes:
            added = lent(change.wanted, change.former) if change.decision.action == Action.LEND else {}
            only = {key: [e for e in items if e not in (change.former.get(key) or [])] for key, items in added.items()}
            formers[key_of(change.wanted)] = Former(change.former, only)
        self._begin(formers, CHANGING)

    def before_purge(self, formers: dict[Key, Former]) -> None:
        """Write down what is about to be purged. Raises LeaseLostError: then nothing may be deleted."""
        self._begin(formers, PURGING)

    def _begin(self, formers: dict[Key, Former], action: str) -> None:
        with transaction.atomic():
            self._lease.renew()
            rows = self._rows(formers)
            new = []
            for key, former in formers.items():
                row = rows.get(key)
                if row is None:
                    version = former.obj["apiVersion"].rpartition("/")[2]
                    row = MigrationResource(migration=self._migration, version=version, order=LAST)
                    row.group, row.kind, row.namespace, row.name = key
                    new.append(row)
                elif row.action == action and migration_of(former.obj) == str(self._migration.pk):
                    # Changed already by an attempt that was cut short: what it was before that is what counts.
                    continue
                row.action, row.former = action, former.to_text()
                if row.pk is not None:
                    row.save(update_fields=["action", "former", "updated_at"])
            MigrationResource.objects.bulk_create(new)

    def write(self) -> None:
        """Raises LeaseLostError."""
        results, self._results, self._written_at = self._results, [], time.monotonic()
        if not results:
            return
        with transaction.atomic():
            self._lease.renew()
            known = self._rows((each.group, each.kind, each.namespace, each.name) for each in results)
            changed: list[MigrationResource] = []
            new: list[MigrationResource] = []
            said: list[Said] = []
            for result in results:
                row = known.get((result.group, result.kind, result.namespace, result.name))
                if row is None:
                    row = MigrationResource(migration=self._migration, version=result.version)
                    row.group, row.kind = result.group, result.kind
                    row.namespace, row.name = result.namespace, result.name
                    new.append(row)
                elif row.status in DONE:
                    continue
                else:
                    changed.append(row)
                self._fill(row, result)
                said.append(_said(row))
            MigrationResource.objects.bulk_create(new)
            fields = ["status", "action", "reason", "created_uid", "updated_at"]
            MigrationResource.objects.bulk_update(changed, fields, batch_size=200)
            events.emit_all(self._migration, said)
            rows = [*new, *changed]
            transaction.on_commit(lambda: live.state_changed(self._migration, resources=rows), robust=True)

    @staticmethod
    def _fill(row: MigrationResource, result: Result) -> None:
        # What an attempt that was cut short had begun to change is changed now, whoever finds it so.
        begun = row.action in ENDS and result.status == Status.SUCCESSFUL
        action = ENDS[row.action] if begun else result.action
        row.status, row.action, row.reason = result.status, action, result.reason
        row.created_uid = result.uid if action == "created" else ""
        row.updated_at = timezone.now()

    def _rows(self, keys: Iterable[Key]) -> dict[Key, MigrationResource]:
        """The rows of these objects, without what they were before."""
        wanted = set(keys)
        names = list({key[3] for key in wanted})
        found: dict[Key, MigrationResource] = {}
        for start in range(0, len(names), 500):
            rows = self._migration.resources.filter(name__in=names[start : start + 500])
            found |= {key: row for row in rows if (key := key_of_row(row)) in wanted}
        return found


# Rows of what was not collected come after all that was.
LAST = 2_000_000_000


def _said(row: MigrationResource) -> Said:
    message = f"{row.group}/{row.version}, Kind={row.kind} {row.namespace}/{row.name}: {row.reason}"
    return Said(row.status, message, row.status != Status.SUCCESSFUL, str(row))
