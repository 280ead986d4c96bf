"""All addresses: pages, API, health, admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from kubemotion_web import health

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/", include("kubemotion_web.api")),
    path("", include("teams.urls")),
    path("", include("clusters.urls")),
    path("", include("audit.urls")),
    path("", include("migrations_app.urls")),
]

# Under /api/ these answer with problem details.
handler400 = "kubemotion_web.problems.bad_request"
handler500 = "kubemotion_web.problems.server_error"
