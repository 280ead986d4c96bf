"""Addresses of plans."""

from __future__ import annotations

from django.urls import URLPattern, path

from migrations_app.plans import suggestion_views, views

urlpatterns: list[URLPattern] = [
    path("plans/", views.plan_list, name="plan-list"),
    path("plans/<uuid:pk>/", views.plan_detail, name="plan-detail"),
    path("plans/<uuid:pk>/progress/", views.plan_progress, name="plan-progress"),
    path("plans/<uuid:pk>/kind/", views.plan_kind, name="plan-kind"),
    path("plans/<uuid:pk>/choose/", views.plan_choose, name="plan-choose"),
    path("plans/<uuid:pk>/objects/<int:row>/", views.plan_object, name="plan-object"),
    path("plans/<uuid:pk>/objects/<int:row>/yaml/", views.plan_object_yaml, name="plan-object-yaml"),
    path("plans/<uuid:pk>/suggestions/", suggestion_views.plan_suggestions, name="plan-suggestions"),
    path("plans/<uuid:pk>/checks/", views.plan_check_rest, name="plan-check-rest"),
    path("plans/<uuid:pk>/checks.json", views.plan_checks, name="plan-checks"),
    path("plans/<uuid:pk>/export/", views.plan_export, name="plan-export"),
    path("plans/<uuid:pk>/look-again/", views.plan_look_again, name="plan-look-again"),
    path("plans/<uuid:pk>/migrate/", views.plan_migrate, name="plan-migrate"),
    path("plans/<uuid:pk>/remove/", views.plan_remove, name="plan-remove"),
]
