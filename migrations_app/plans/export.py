"""A plan as a folder of YAML files, ordered, that `kubectl apply` takes: one file per object, one folder per kind.

The objects are read from the source again and transformed as the migration would; the data of volumes is not in it.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable
from itertools import groupby
from typing import IO, Any

from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.translation import translated
from migrations_app.engines import ForeseesObjects, MigrationError, RetriableError, engine_for
from migrations_app.plans.contents import to_yaml
from migrations_app.plans.models import MigrationPlan, PlannedAction, PlanStatus
from migrations_app.resources import order
from migrations_app.resources.marks import MIGRATION_LABEL, type_of
from migrations_app.resources.masking import SECRET
from teams.refusals import Conflict, Refusal, Unavailable

Object = dict[str, Any]
# What is larger waits on the disk until it is sent.
IN_MEMORY_BYTES = 8 * 1024 * 1024

README = """\
{plan}: what a migration from {source} to {destination} would apply, as the source was at {at}.

Apply it in order, with the context of {destination}:

    for folder in */; do kubectl apply --server-side -f "$folder"; done

or at once, which goes through the folders in the same order:

    kubectl apply --server-side -R -f .

After 00-namespaces and custom resource definitions the API server may need a moment; apply again what it did not
know yet. The data of volumes is not in this folder: claims come empty. Nor are owner references, which a migration
makes anew with the uids of {destination}.
{secrets}{purged}
"""


def folder_name(plan: MigrationPlan) -> str:
    """The name of the folder, and of the archive without its ending."""
    return f"{plan.name or plan.spec['namespaces'][0]}-{plan.pk.hex[:8]}"


def files(objects: Iterable[Object], *, secrets: bool) -> list[tuple[str, str]]:
    """Paths and texts, in the order in which they are to be applied; Secrets only if they are asked for."""
    kept = [each for each in order.ordered(objects) if secrets or type_of(each) != SECRET]
    kinds = [list(group) for _kind, group in groupby(kept, key=lambda each: (order.rank(each), type_of(each)))]
    width = max(2, len(str(len(kinds))))
    found = []
    for place, group in enumerate(kinds):
        folder = f"{place:0{width}}-{_plural(group[0])}"
        for each in group:
            metadata = each["metadata"]
            name = ".".join(part for part in (metadata.get("namespace", ""), metadata["name"]) if part)
            found.append((f"{folder}/{name.replace('/', '_')}.yaml", to_yaml(_unmarked(each))))
    return found


def _plural(obj: Object) -> str:
    """As apimachinery's UnsafeGuessKindToResource makes it, with the group."""
    group, kind = type_of(obj)
    word = kind.lower()
    if word.endswith("y"):
        word = f"{word[:-1]}ies"
    elif word.endswith("s"):
        word = word if word == "endpoints" else f"{word}es"
    else:
        word = f"{word}s"
    return f"{word}.{group}" if group else word


def _unmarked(obj: Object) -> Object:
    """Without the mark of a migration: whoever applies the files is none."""
    labels = {k: v for k, v in (obj["metadata"].get("labels") or {}).items() if k != MIGRATION_LABEL}
    metadata = {key: value for key, value in {**obj["metadata"], "labels": labels}.items() if value}
    return {**obj, "metadata": metadata}


def archive(plan: MigrationPlan, *, secrets: bool, by: Actor) -> IO[bytes]:
    """The folder as a tar.gz, at its beginning. It is written down who took it, and whether with Secrets.

    Whether `by` may have the Secrets was asked before. Raises Refusal, Conflict, Unavailable.
    """
    if plan.status != PlanStatus.READY:
        raise Conflict(_("Only a plan that is ready can be exported."))
    engine = engine_for(plan.pair)
    if not isinstance(engine, ForeseesObjects):
        raise Refusal(_("The engine of this pair does not apply objects itself."))
    try:
        objects = engine.whole(plan.pair, plan.asked(), migration_id=str(plan.pk))
    except RetriableError as error:
        raise Unavailable(translated(error.message)) from None
    except MigrationError as error:
        raise Refusal(translated(error.message)) from None
    held = sorted(
        f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in objects if type_of(each) == SECRET
    )
    texts = [("README.txt", _readme(plan, held, secrets)), *files(objects, secrets=secrets)]
    record(by, "plan.export", plan, after={"secrets": secrets, "objects": len(texts) - 1})
    return _packed(folder_name(plan), texts)


def _readme(plan: MigrationPlan, held: list[str], secrets: bool) -> str:
    if not held:
        said = ""
    elif secrets:
        said = f"\nIt holds the values of {len(held)} Secrets: keep it as you keep passwords.\n"
    else:
        said = f"\nLeft out are {len(held)} Secrets, which have to be on the destination first:\n\n"
        said += "".join(f"    {each}\n" for each in held)
    return README.format(
        plan=plan,
        source=plan.pair.source,
        destination=plan.pair.destination,
        at=timezone.now().isoformat(timespec="seconds"),
        secrets=said,
        purged=_purged(plan),
    )


def _purged(plan: MigrationPlan) -> str:
    rows = plan.objects_planned.filter(included=True, action=PlannedAction.PURGE)
    if not rows:
        return ""
    said = (
        f"\nA migration also deletes {len(rows)} objects that an earlier one brought and the source has no longer:\n\n"
    )
    return said + "".join(f"    kubectl delete {row.resource} {row.name} -n {row.namespace}\n" for row in rows)


def _packed(folder: str, texts: Iterable[tuple[str, str]]) -> IO[bytes]:
    # Whoever sends it closes it, which also removes it.
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for path, text in texts:
            content = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(timezone.now().timestamp())
            tar.addfile(entry, io.BytesIO(content))
    file.seek(0)
    return file
