"""Addresses of the history."""

from __future__ import annotations

from django.urls import URLPattern, path

from audit import views

urlpatterns: list[URLPattern] = [
    path("history/", views.history, name="history"),
    path("history/export/", views.history_export, name="history-export"),
]
