"""Addresses of the dashboard, of migrations and of what belongs to them."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from migrations_app import action_views, starting_views, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("migrations_app.schedules.urls")),
    path("", include("migrations_app.stork.urls")),
    path("", include("migrations_app.plans.urls")),
    path("", include("migrations_app.transformations.urls")),
    path("", views.dashboard, name="dashboard"),
    path("migrations/", views.migration_list, name="migration-list"),
    path("migrations/new/", starting_views.migration_new, name="migration-new"),
    path("migrations/plan/", starting_views.migration_plan, name="migration-plan"),
    path("migrations/plan/checks.json", starting_views.migration_checks, name="migration-checks"),
    path("migrations/<uuid:pk>/", views.migration_detail, name="migration-detail"),
    path("migrations/<uuid:pk>/cancel/", action_views.migration_cancel, name="migration-cancel"),
    path("migrations/<uuid:pk>/pause/", action_views.migration_pause, name="migration-pause"),
    path("migrations/<uuid:pk>/resume/", action_views.migration_resume, name="migration-resume"),
    path("migrations/<uuid:pk>/roll-back/", action_views.migration_roll_back, name="migration-roll-back"),
    path("migrations/<uuid:pk>/verify/", action_views.migration_verify, name="migration-verify"),
    path("migrations/<uuid:pk>/remove/", action_views.migration_remove, name="migration-remove"),
    path("migrations/<uuid:pk>/resources/", views.migration_resources, name="migration-resources"),
    path("migrations/<uuid:pk>/events/", views.migration_events, name="migration-events"),
]
