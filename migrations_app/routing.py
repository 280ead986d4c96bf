"""WebSocket addresses."""

from __future__ import annotations

from django.urls import path

from migrations_app.consumers import DashboardConsumer, MigrationConsumer

websocket_urlpatterns = [
    path("ws/migrations/<uuid:pk>/", MigrationConsumer.as_asgi()),
    path("ws/dashboard/", DashboardConsumer.as_asgi()),
]
