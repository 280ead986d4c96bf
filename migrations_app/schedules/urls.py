"""Addresses of a pair's schedules."""

from __future__ import annotations

from django.urls import URLPattern, path

from migrations_app.schedules import views

urlpatterns: list[URLPattern] = [
    path("pairs/<uuid:pk>/schedules/", views.overview, name="schedules"),
    path("pairs/<uuid:pk>/schedules/add/", views.add, {"thing": "schedule"}, name="schedule-add"),
    path("pairs/<uuid:pk>/schedule-policies/add/", views.add, {"thing": "policy"}, name="schedule-policy-add"),
    path("pairs/<uuid:pk>/rules/add/", views.add, {"thing": "rule"}, name="rule-add"),
    path("pairs/<uuid:pk>/schedules/<str:namespace>/<str:name>/<str:verb>/", views.act, name="schedule-act"),
]
