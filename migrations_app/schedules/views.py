"""The page of a pair's schedules, its forms, and the questions before anything starts, stops or goes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from audit.actor import Actor
from clusters.models import ClusterPair
from migrations_app.schedules import by_hand, services
from migrations_app.schedules.forms import PolicyForm, RuleForm, ScheduleForm
from migrations_app.schedules.overview import both_sides
from teams import access
from teams.access import Action
from teams.forms import add_refusal
from teams.refusals import Refusal


def _pair(request: HttpRequest, pk: uuid.UUID, action: Action = Action.VIEW) -> ClusterPair:
    """The pair, for the user; what is not driven by Stork has no such page."""
    pairs = ClusterPair.objects.select_related("team", "source", "destination", "portworx")
    pair = access.get(pairs, request.user, pk, action)
    if pair.engine != services.ENGINE:
        raise Http404
    return pair


@require_GET
def overview(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = _pair(request, pk)
    source, destination = both_sides(pair)
    context = {
        "pair": pair,
        "source": source,
        "destination": destination,
        "sides": [source, destination],
        "active": [each for each in source.schedules if destination.is_active(each)],
        "may_operate_here": access.may(request.user, Action.OPERATE, pair.team),
        "by_hand": by_hand.commands(pair),
    }
    return render(request, "migrations_app/schedules/overview.html", context)


@dataclass(frozen=True)
class Thing:
    """What can be added: its form, the service that adds it, and how it is called."""

    form: Callable[..., Any]
    add: Callable[..., None]
    title: Promise
    needs_source: bool = False


THINGS = {
    "schedule": Thing(ScheduleForm, services.add_schedule, gettext_lazy("Add a schedule"), needs_source=True),
    "policy": Thing(PolicyForm, services.add_policy, gettext_lazy("Add a schedule policy")),
    "rule": Thing(RuleForm, services.add_rule, gettext_lazy("Add a rule")),
}


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, pk: uuid.UUID, thing: str) -> HttpResponse:
    pair = _pair(request, pk, Action.OPERATE)
    what = THINGS[thing]
    given: dict[str, Any] = {}
    context: dict[str, Any] = {"pair": pair, "thing": thing, "title": what.title}
    if what.needs_source:
        given["source"] = context["source"] = both_sides(pair)[0]
    if request.method == "GET":
        context["form"] = what.form(initial=request.GET.dict(), **given)
        return render(request, "migrations_app/schedules/add.html", context)
    form = context["form"] = what.form(request.POST, **given)
    if form.is_valid():
        try:
            what.add(pair, **form.values(), by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(name)s is added.") % {"name": form.cleaned_data["name"]})
            return redirect("schedules", pk=pair.pk)
    return render(request, "migrations_app/schedules/add.html", context, status=422)


def _simple(verb: str) -> Callable[[HttpRequest, ClusterPair, str, str], str]:
    return lambda request, pair, namespace, name: services.SIMPLE[verb](pair, namespace, name, by=Actor.of(request))


def _activation(active: bool) -> Callable[[HttpRequest, ClusterPair, str, str], str]:
    def do(request: HttpRequest, pair: ClusterPair, namespace: str, name: str) -> str:
        done = services.activate(pair, namespace, active=active, by=Actor.of(request))
        return "\n".join(done) or _("Nothing had to be changed.")

    return do


def _fail_over(request: HttpRequest, pair: ClusterPair, namespace: str, name: str) -> str:
    skip = request.POST.get("skip_source") == "on"
    return services.fail_over(pair, namespace, name, namespaces=[], skip_source=skip, by=Actor.of(request))


def _fail_back(request: HttpRequest, pair: ClusterPair, namespace: str, name: str) -> str:
    return services.fail_back(pair, namespace, name, namespaces=[], by=Actor.of(request))


@dataclass(frozen=True)
class Verb:
    """What can be done with a schedule: how the button is called, what is asked before, and what does it."""

    title: Promise
    question: Promise
    do: Callable[[HttpRequest, ClusterPair, str, str], str]
    is_dangerous: bool = False


VERBS = {
    "suspend": Verb(
        gettext_lazy("Suspend"), gettext_lazy("No new migration begins until it is resumed."), _simple("suspend")
    ),
    "resume": Verb(gettext_lazy("Resume"), gettext_lazy("Migrations begin again by the policy."), _simple("resume")),
    "remove": Verb(
        gettext_lazy("Delete"),
        gettext_lazy(
            "The schedule, the Migrations that it made and its copy on the destination go. What was migrated stays."
        ),
        _simple("remove"),
        is_dangerous=True,
    ),
    "activate": Verb(
        gettext_lazy("Activate"),
        gettext_lazy(
            "On the destination, workloads that were migrated into this namespace start with the replicas that they "
            "had on the source. Nothing is done on the source."
        ),
        _activation(True),
    ),
    "deactivate": Verb(
        gettext_lazy("Deactivate"),
        gettext_lazy("On the destination, workloads that were migrated into this namespace are stopped again."),
        _activation(False),
        is_dangerous=True,
    ),
    "failover": Verb(
        gettext_lazy("Fail over"),
        gettext_lazy(
            "The schedule is suspended, the applications stop on the source, what they wrote since is migrated a last "
            "time, and they start on the destination. What fails before that is taken back."
        ),
        _fail_over,
        is_dangerous=True,
    ),
    "failback": Verb(
        gettext_lazy("Fail back"),
        gettext_lazy(
            "The applications stop on the destination, what they wrote there is migrated back a last time, and they "
            "start on the source. What fails before that is taken back."
        ),
        _fail_back,
        is_dangerous=True,
    ),
}


@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, pk: uuid.UUID, namespace: str, name: str, verb: str) -> HttpResponse:
    """Say what will happen, then do it."""
    pair = _pair(request, pk, Action.OPERATE)
    if (what := VERBS.get(verb)) is None:
        raise Http404
    if request.method == "GET":
        frame = "ui/dialog.html" if request.headers.get("HX-Request") else "ui/question.html"
        context = {
            "pair": pair,
            "namespace": namespace,
            "name": name,
            "verb": verb,
            "what": what,
            "frame": frame,
            "by_hand": by_hand.of_verb(pair, verb, namespace, name),
        }
        return render(request, "migrations_app/schedules/act.html", context)
    try:
        messages.success(request, what.do(request, pair, namespace, name))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("schedules", pk=pair.pk)
