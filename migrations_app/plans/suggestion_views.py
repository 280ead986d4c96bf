"""The page of a plan's suggestions, and what is said to them."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from audit.actor import Actor
from migrations_app.plans import suggesting
from migrations_app.plans.models import MigrationPlan, SuggestionState
from teams import access
from teams.access import Action
from teams.refusals import Refusal

SUGGESTIONS_PER_PAGE = 50
# What the buttons are called; each says one suggestion by its id, or `all`.
SAID = {"take": SuggestionState.TAKEN, "dismiss": SuggestionState.DISMISSED, "offer": SuggestionState.OPEN}


@require_http_methods(["GET", "POST"])
def plan_suggestions(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Those of one state, page by page; what is posted is said to one or to all that are open."""
    plans = MigrationPlan.objects.select_related("team", "pair")
    if request.method == "POST":
        return _said(request, access.get(plans, request.user, pk, Action.OPERATE))
    plan = access.get(plans, request.user, pk)
    state = request.GET.get("state", "")
    state = state if state in SuggestionState.values else SuggestionState.OPEN
    counts = suggesting.counts(plan)
    context = {
        "plan": plan,
        "state": state,
        "states": [(each.value, each.label, counts[each]) for each in SuggestionState],
        "counts": counts,
        "page": Paginator(suggesting.shown(plan, state), SUGGESTIONS_PER_PAGE).get_page(request.GET.get("page")),
        "may_operate_here": access.may(request.user, Action.OPERATE, plan.team),
    }
    return render(request, "migrations_app/plans/suggestion_page.html", context)


def _said(request: HttpRequest, plan: MigrationPlan) -> HttpResponse:
    word = next((each for each in SAID if each in request.POST), "")
    which = request.POST.get(word, "")
    chosen = [int(which)] if which.isascii() and which.isdigit() else []
    try:
        if word and (chosen or which == "all"):
            plan = suggesting.decide(plan, SAID[word], suggestions=chosen or None, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    # Where rules have changed, the plan is being computed: its own page shows how far it is.
    if not plan.is_settled or request.POST.get("back") == "plan":
        return redirect(f"{plan.get_absolute_url()}#suggestions")
    state = request.POST.get("state", "")
    return redirect(
        f"{reverse('plan-suggestions', args=[plan.pk])}{f'?state={state}' if state in SuggestionState.values else ''}"
    )
