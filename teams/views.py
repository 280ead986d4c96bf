"""Sign-in, account (tokens, password, language, theme) and teams with their members."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from teams import access, services
from teams.access import Action
from teams.forms import MemberForm, TeamForm, TokenForm, add_refusal
from teams.models import ApiToken, Role, Team
from teams.refusals import Refusal


class AuthenticatedRequest(HttpRequest):
    """A request that has passed LoginRequiredMiddleware."""

    user: User


class SignIn(LoginView):
    template_name = "teams/login.html"
    redirect_authenticated_user = True


class SignOut(LogoutView):
    http_method_names = ["post"]


@require_GET
def account(request: AuthenticatedRequest) -> HttpResponse:
    """The viewer's own page; nobody else's can be asked for."""
    return _account(request)


def _account(
    request: AuthenticatedRequest,
    *,
    token_form: TokenForm | None = None,
    password_form: PasswordChangeForm | None = None,
    new_token: str = "",
) -> HttpResponse:
    password_form = password_form or PasswordChangeForm(request.user)
    # The form comes from a page of its own; here the focus belongs to the top.
    password_form.fields["old_password"].widget.attrs.pop("autofocus", None)
    context = {
        "tokens": ApiToken.objects.filter(user=request.user),
        "memberships": request.user.memberships.select_related("team").order_by("team__name"),
        "token_form": token_form or TokenForm(),
        "password_form": password_form,
        "new_token": new_token,
    }
    failed = any(form is not None and form.errors for form in (token_form, password_form))
    response = render(request, "teams/account.html", context, status=422 if failed else 200)
    if new_token:
        response["Cache-Control"] = "no-store"
    return response


@require_POST
def password(request: AuthenticatedRequest) -> HttpResponse:
    form = PasswordChangeForm(request.user, request.POST)
    if not form.is_valid():
        return _account(request, password_form=form)
    with transaction.atomic():
        user = form.save()
        services.password_changed(user, by=Actor.of(request))
    update_session_auth_hash(request, user)
    messages.success(request, _("The password is changed."))
    return redirect("account")


@require_POST
def token_add(request: AuthenticatedRequest) -> HttpResponse:
    form = TokenForm(request.POST)
    if form.is_valid():
        try:
            _token, text = services.issue_token(request.user, **form.cleaned_data, by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            return _account(request, new_token=text)
    return _account(request, token_form=form)


@require_POST
def token_revoke(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, user=request.user, pk=pk)
    services.revoke_token(token, by=Actor.of(request))
    messages.success(request, _("The token %(name)s is revoked.") % {"name": token.name})
    return redirect("account")


@require_GET
def team_list(request: HttpRequest) -> HttpResponse:
    teams = access.teams_for(request.user).annotate(member_count=Count("memberships")).order_by("name")
    return render(request, "teams/team_list.html", {"teams": teams, "may_add": access.is_platform_staff(request.user)})


@require_http_methods(["GET", "POST"])
def team_add(request: HttpRequest) -> HttpResponse:
    if not access.is_platform_staff(request.user):
        raise PermissionDenied(_("Only platform staff can make teams."))
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = services.add_team(**form.cleaned_data, by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            return redirect("team-detail", pk=team.pk)
    return render(request, "teams/team_form.html", {"form": form}, status=422 if form.errors else 200)


def _team(request: HttpRequest, pk: uuid.UUID, action: Action = Action.VIEW) -> Team:
    team = get_object_or_404(access.teams_for(request.user), pk=pk)
    access.require(request.user, action, team)
    return team


@require_GET
def team_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _team_page(request, _team(request, pk), MemberForm())


def _team_page(request: HttpRequest, team: Team, form: MemberForm) -> HttpResponse:
    context = {
        "team": team,
        "memberships": team.memberships.select_related("user").order_by("user__username"),
        "roles": Role.choices,
        "form": form,
        "may_change": access.may(request.user, Action.ADMINISTER, team),
    }
    return render(request, "teams/team_detail.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def team_rename(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    team = _team(request, pk, Action.ADMINISTER)
    form = TeamForm(request.POST or None, initial={"name": team.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.rename_team(team, **form.cleaned_data, by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            return redirect("team-detail", pk=team.pk)
    return render(request, "teams/team_form.html", {"form": form, "team": team}, status=422 if form.errors else 200)


@require_POST
def member_set(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Add a member, or change a member's role."""
    team = _team(request, pk, Action.ADMINISTER)
    form = MemberForm(request.POST)
    if form.is_valid():
        try:
            services.set_member(team, **form.cleaned_data, by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(user)s is now a member.") % {"user": form.cleaned_data["username"]})
            return redirect("team-detail", pk=team.pk)
    return _team_page(request, team, form)


@require_POST
def member_remove(request: HttpRequest, pk: uuid.UUID, member: int) -> HttpResponse:
    team = _team(request, pk, Action.ADMINISTER)
    membership = get_object_or_404(team.memberships.select_related("user", "team"), pk=member)
    try:
        services.remove_member(membership, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("team-detail", pk=team.pk)
