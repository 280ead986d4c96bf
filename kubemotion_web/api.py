"""The API's addresses: everything that the pages do, at /api/v1/, its schema, and pages to try it from."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.routers import DefaultRouter
from rest_framework.views import APIView

from audit.api import EntryViewSet
from clusters.api import ClusterViewSet, ObjectStoreViewSet
from clusters.pair_api import PairViewSet
from migrations_app.api import MigrationViewSet
from migrations_app.plans.api import PlanViewSet
from migrations_app.schedules.api import ScheduleViewSet
from migrations_app.stork.api import StorkMigrationViewSet, StorkTextsViewSet
from migrations_app.transformations.api import TransformationViewSet
from teams.api import UUID, TeamViewSet, TokenViewSet


class Nowhere(APIView):
    """Any other address below /api/: programs get a problem, not a page."""

    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound


router = DefaultRouter()
router.include_format_suffixes = False
router.register("teams", TeamViewSet, "api-team")
router.register("clusters", ClusterViewSet, "api-cluster")
router.register("object-stores", ObjectStoreViewSet, "api-object-store")
router.register("pairs", PairViewSet, "api-pair")
router.register(rf"pairs/(?P<pk>{UUID})/schedules", ScheduleViewSet, "api-schedule")
router.register(rf"pairs/(?P<pk>{UUID})/stork-migrations", StorkMigrationViewSet, "api-stork-migration")
router.register(rf"migrations/(?P<pk>{UUID})/stork", StorkTextsViewSet, "api-stork-texts")
router.register("migrations", MigrationViewSet, "api-migration")
router.register("transformations", TransformationViewSet, "api-transformation")
router.register("plans", PlanViewSet, "api-plan")
router.register("tokens", TokenViewSet, "api-token")
router.register("audit", EntryViewSet, "api-audit")

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(router.urls)),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path("", Nowhere.as_view(schema=None)),
]
