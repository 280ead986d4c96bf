"""Addresses of what Stork's users know."""

from __future__ import annotations

from django.urls import URLPattern, path

from migrations_app.stork import views

urlpatterns: list[URLPattern] = [
    path("migrations/<uuid:pk>/stork/", views.texts, name="migration-stork"),
    path("pairs/<uuid:pk>/import-migrations/", views.import_, name="migration-import"),
]
