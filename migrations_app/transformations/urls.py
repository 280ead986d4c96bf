"""Addresses of transformations."""

from __future__ import annotations

from django.urls import URLPattern, path

from migrations_app.transformations import views

urlpatterns: list[URLPattern] = [
    path("transformations/", views.transformation_list, name="transformation-list"),
    path("transformations/add/", views.transformation_add, name="transformation-add"),
    path("transformations/preview/", views.transformation_preview, name="transformation-preview"),
    path("transformations/<uuid:pk>/", views.transformation_detail, name="transformation-detail"),
    path("transformations/<uuid:pk>/edit/", views.transformation_edit, name="transformation-edit"),
    path("transformations/<uuid:pk>/remove/", views.transformation_remove, name="transformation-remove"),
]
