"""Addresses of sign-in, account and teams."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, path
from django.views.i18n import set_language

from teams import views

urlpatterns: list[URLPattern] = [
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", views.SignOut.as_view(), name="logout"),
    path("language/", login_not_required(set_language), name="language"),
    path("account/", views.account, name="account"),
    path("account/password/", views.password, name="account-password"),
    path("account/tokens/", views.token_add, name="token-add"),
    path("account/tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
    path("teams/", views.team_list, name="team-list"),
    path("teams/add/", views.team_add, name="team-add"),
    path("teams/<uuid:pk>/", views.team_detail, name="team-detail"),
    path("teams/<uuid:pk>/rename/", views.team_rename, name="team-rename"),
    path("teams/<uuid:pk>/members/", views.member_set, name="member-set"),
    path("teams/<uuid:pk>/members/<int:member>/remove/", views.member_remove, name="member-remove"),
]
