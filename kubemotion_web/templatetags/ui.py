"""How facts look on pages: icons, states with icon and word, times, ages, sizes in binary units, form fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from django import template
from django.forms import BoundField, Textarea
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy

from audit.models import Entry
from clusters.models import ClusterPair, Health
from clusters.translation import translated
from kubemotion_web.templatetags.icons import PATHS
from migrations_app import services
from migrations_app.events import FoldedEvent
from migrations_app.models import Migration, MigrationVolume, Stage, Status
from migrations_app.pauses import services as pauses
from migrations_app.pauses.times import paused_in
from migrations_app.plans.models import PlanStatus
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification

register = template.Library()
register.filter("translated", translated)

# Colour and icon; the word comes from the state itself, so that no meaning rests on colour alone.
STATUS_LOOKS: dict[str, tuple[str, str]] = {
    Status.PENDING: ("", "pending"),
    Status.IN_PROGRESS: ("pf-m-blue", "running"),
    Status.SUCCESSFUL: ("pf-m-green", "successful"),
    PlanStatus.READY: ("pf-m-green", "successful"),
    Status.PARTIAL_SUCCESS: ("pf-m-orange", "warning"),
    Status.FAILED: ("pf-m-red", "failed"),
    Status.CANCELLED: ("", "cancelled"),
    Verdict.SAME: ("pf-m-green", "successful"),
    Verdict.DIFFERENT: ("pf-m-orange", "warning"),
    Verdict.UNREADABLE: ("pf-m-red", "failed"),
    Health.UNKNOWN: ("", "help"),
    Health.HEALTHY: ("pf-m-green", "successful"),
    Health.WARNING: ("pf-m-orange", "warning"),
    Health.FAILING: ("pf-m-red", "failed"),
}
# What differs of a path, as `verifications.comparing` names it.
DIFFERING = {
    "content": _lazy("content"),
    "size": _lazy("size"),
    "mode": _lazy("mode"),
    "owner": _lazy("owner"),
    "mtime": _lazy("time"),
    "xattrs": _lazy("attributes"),
    "target": _lazy("target"),
    "device": _lazy("device"),
    "only on the source": _lazy("only on the source"),
    "only on the destination": _lazy("only on the destination"),
}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@register.simple_tag
def icon(name: str) -> SafeString:
    """The icon as inline SVG, hidden from screen readers: the word stands beside it."""
    return format_html(
        '<svg class="kmw-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d="{}"/></svg>',
        PATHS[name],
    )


@register.filter
def may_be_rolled_back(migration: Migration) -> bool:
    """Whether a roll-back can be asked for."""
    return services.may_be_rolled_back(migration)


@register.filter
def may_be_paused(migration: Migration) -> bool:
    """Whether a pause can be asked for."""
    return pauses.may_be_paused(migration)


@register.filter
def why_no_pause(pair: ClusterPair) -> str:
    """Why migrations over the pair cannot be paused; empty where they can."""
    return pauses.why_never(pair)


@register.filter
def may_be_verified(migration: Migration) -> bool:
    """Whether its volumes can be read anew and compared."""
    return verifications.may_be_verified(migration)


@register.filter
def newest(row: VolumeVerification, side: str) -> datetime | None:
    """When the newest file of the side was written."""
    return row.newest(side)


@register.filter
def differing_words(names: list[str]) -> str:
    """What differs of a path, in words."""
    return ", ".join(str(DIFFERING.get(name, name)) for name in names)


@register.simple_tag
def state(value: Any, count: int | None = None) -> SafeString:
    """A status or health as a label with icon and word, and of how many."""
    colour, name = STATUS_LOOKS[value]
    word = dict([*Status.choices, *PlanStatus.choices, *Health.choices, *Verdict.choices])[value]
    return label(word, colour, name) if count is None else label(f"{count} {word}", f"pf-m-compact {colour}", name)


@register.simple_tag
def migration_state(migration: Migration) -> SafeString:
    """The status of a migration, which is 'Cancelling' between the request and its end, and may be paused."""
    if migration.is_cancelling:
        return label(_("Cancelling"), "pf-m-orange", "running")
    if migration.is_paused:
        return paused_state(migration)
    return state(migration.status)


@register.simple_tag
def paused_state(migration: Migration) -> SafeString:
    """That it is paused, or is coming to rest."""
    word = _("Paused") if migration.stands_still_at else _("Pausing")
    return label(word, "pf-m-purple", "pause")


def label(word: Any, colour: str, icon_name: str) -> SafeString:
    return format_html(
        '<span class="pf-v6-c-label {}"><span class="pf-v6-c-label__content">'
        '<span class="pf-v6-c-label__icon">{}</span><span class="pf-v6-c-label__text">{}</span></span></span>',
        colour,
        icon(icon_name),
        word,
    )


@register.filter
def when(moment: datetime | None) -> SafeString:
    """How long ago, with the moment itself as title; scripts keep it current."""
    if moment is None:
        return mark_safe('<span class="kmw-none">–</span>')
    local = timezone.localtime(moment)
    ago = timesince(moment, depth=1)
    seconds = (timezone.now() - moment).total_seconds()
    words = _("just now") if seconds < 60 else _("%(time)s ago") % {"time": ago}
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}",
        words,
    )


@register.filter
def age(moment: datetime | None) -> SafeString:
    """Time since `moment` as kubectl prints it (78s, 3m12s, 5h), kept current by scripts."""
    if moment is None:
        return mark_safe('<span class="kmw-none">–</span>')
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-age>{}</time>',
        moment.isoformat(timespec="milliseconds"),
        f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}",
        human_duration(timezone.now() - moment),
    )


def human_duration(duration: timedelta) -> str:
    """A duration as kubectl prints it: two units at most, fewer as it grows."""
    seconds = max(0, int(duration.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A length of time such as 1:12 or 1:02:33."""
    if value is None:
        return "–"
    seconds = int(value.total_seconds() if isinstance(value, timedelta) else value)
    hours, rest = divmod(max(0, seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


@register.filter
def elapsed(migration: Migration) -> SafeString:
    """Time since the start without pauses, ticking while the migration is under way."""
    since = migration.elapsed()
    if since is None:
        return mark_safe('<span class="kmw-none">–</span>')
    if migration.is_finished or migration.is_paused or migration.started_at is None:
        return format_html('<span class="kmw-number">{}</span>', duration(since))
    return format_html(
        '<time class="kmw-number" datetime="{}" data-elapsed>{}</time>',
        (timezone.now() - since).isoformat(timespec="milliseconds"),
        duration(since),
    )


@register.filter
def binary_size(value: float | Literal[""] | None) -> str:
    """Bytes in the largest binary unit that leaves at least one: 1.5 GiB; a dash where they are not known."""
    if value is None or value == "":
        return "–"
    size, unit = float(value), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    digits = 0 if unit == 0 or size >= 100 else 1
    return f"{number_format(round(size, digits), digits)} {UNITS[unit]}"


@register.filter
def moment(iso: str | None) -> datetime | None:
    """The moment that an ISO 8601 text names."""
    return parse_datetime(iso) if iso else None


@register.filter
def item(mapping: dict[str, Any], key: Any) -> Any:
    """`mapping[key]`, None where it is missing."""
    return mapping.get(key)


WENT_WELL = frozenset({Status.SUCCESSFUL, Status.PARTIAL_SUCCESS})
RULE_STAGES = frozenset({Stage.PRE_EXEC_RULE, Stage.POST_EXEC_RULE})


@register.filter
def stages(migration: Migration) -> list[dict[str, Any]]:
    """The timeline: each stage with its look (done, current, waiting, skipped, failed, warning), start and length.

    Lengths are without pauses.

    The rule stages pass without work while no rule exists; the timeline says so.
    """
    starts = {name: parse_datetime(at) for name, at in migration.stage_times.items()}
    now = migration.finished_at or migration.paused_at or timezone.now()
    rows: list[dict[str, Any]] = []
    order = list(Stage)
    for number, stage in enumerate(order):
        start = starts.get(stage.value)
        later = [at for following in order[number + 1 :] if (at := starts.get(following.value))]
        end = min(later) if later else now
        paused = timedelta(seconds=paused_in(migration, stage))
        no_rule = stage in RULE_STAGES and _passed(migration, order[number + 1 :], starts)
        rows.append(
            {
                "stage": stage,
                "label": stage.label,
                "look": "skipped" if no_rule else _look(migration, stage, start is not None),
                "start": start,
                "length": end - start - paused if start else None,
                # From when a clock counts that pauses do not move.
                "ticks_from": start + paused if start else None,
                "no_rule": no_rule,
            }
        )
    return rows


def _passed(migration: Migration, following: list[Stage], starts: dict[str, Any]) -> bool:
    """Whether a stage after it has begun; Final also begins where a migration fails early, and so does not count."""
    return any(stage.value in starts for stage in following if stage != Stage.FINAL or migration.status in WENT_WELL)


def _look(migration: Migration, stage: Stage, entered: bool) -> str:
    if stage == Stage.FINAL and migration.is_finished:
        return {Status.SUCCESSFUL: "done", Status.PARTIAL_SUCCESS: "warning", Status.CANCELLED: "skipped"}.get(
            Status(migration.status), "failed"
        )
    if stage == migration.stage and entered:
        return "current"
    if entered:
        return "done"
    return "skipped" if migration.is_finished else "waiting"


@register.inclusion_tag("ui/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A form field with label, help and errors, in PatternFly's markup."""
    widget = bound.field.widget
    kind = "textarea" if isinstance(widget, Textarea) else getattr(widget, "input_type", "")
    return {"field": bound, "kind": kind}


@register.filter
def sent_bytes(volume: MigrationVolume) -> int:
    """What was read and sent. What was restored must have been sent, even where the sender's last word is older."""
    return max(volume.bytes_pushed, volume.bytes_pulled)


@register.filter
def sent_percent(volume: MigrationVolume) -> int:
    """How much of the volume was read and sent, 0 to 100."""
    if volume.status == Status.SUCCESSFUL:
        return 100
    return min(100, int(sent_bytes(volume) * 100 / volume.bytes_total)) if volume.bytes_total else 0


ACTION_WORDS = {
    "created": pgettext_lazy("action", "created"),
    "updated": pgettext_lazy("action", "updated"),
    "unchanged": pgettext_lazy("action", "unchanged"),
    "refused": pgettext_lazy("action", "refused"),
    "provisioned": pgettext_lazy("action", "provisioned"),
    "purged": pgettext_lazy("action", "purged"),
}


@register.simple_tag
def action_word(action: str) -> Any:
    """What became of an object on the destination, in words."""
    return ACTION_WORDS.get(action, action) or "–"


@register.inclusion_tag("ui/sort_header.html", takes_context=True)
def sort_header(context: dict[str, Any], name: str, text: Any) -> dict[str, Any]:
    """A table's column head that sorts: the first click upwards, the second downwards."""
    present = context["request"].GET.get("ordering", "")
    direction = {name: "ascending", f"-{name}": "descending"}.get(present, "")
    following = f"-{name}" if present == name else name
    return {"request": context["request"], "text": text, "direction": direction, "next": following}


@register.simple_tag
def folded_span(event: FoldedEvent) -> str:
    """How often within what time, as kubectl prints it: x2 over 78s."""
    return f"x{event.count} over {human_duration(timezone.now() - event.first_at)}"


@register.filter
def changed_keys(entry: Entry) -> list[str]:
    """The names of what an audit entry changed."""
    return sorted((entry.before or {}).keys() | (entry.after or {}).keys())
