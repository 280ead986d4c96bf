"""The API of teams, members and tokens, and what the API of everything that a team owns begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from audit.actor import Actor
from teams import access, services
from teams.access import Action
from teams.models import ApiToken, Membership, Role, Team
from teams.refusals import Refusal

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
USERNAME = r"[\w.@+-]+"


class BearerScheme(OpenApiAuthenticationExtension):
    """How the schema describes API tokens."""

    target_class = "teams.authentication.ApiTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token of the account page: kmw_…"}


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not have: a misspelt option must not be passed over in silence.

    Fields that are only ever read may come along, so that what was read can be sent back with a change.
    """

    def to_internal_value(self, data: Any) -> Any:
        unknown = [str(name) for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        if unknown:
            message = _("There is no such field. It may be misspelt.")
            raise serializers.ValidationError({name: [message] for name in unknown})
        return super().to_internal_value(data)


class TeamOwnedViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]):
    """Lists and shows rows that a team owns; `rows` are all of them, before anybody's access is asked."""

    rows: ClassVar[QuerySet[Any]]
    lookup_value_regex = UUID

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.rows.none()
        return access.visible(self.rows.all(), self.request.user)

    def get_object(self) -> Any:
        return self.object_for(Action.VIEW)

    def object_for(self, wanted: Action) -> Any:
        """The row of the address, for what is wanted. Raises Http404 and PermissionDenied as `teams.access` says."""
        return access.get(self.rows.all(), self.request.user, self.kwargs["pk"], wanted)

    def team_for(self, given: Team | None, wanted: Action) -> Team:
        """The team that was given, or the only one in which the caller may do what is wanted."""
        if given is not None:
            access.require(self.request.user, wanted, given)
            return given
        access.require_somewhere(self.request.user, wanted)
        only = list(access.teams_for(self.request.user, wanted)[:2])
        if len(only) != 1:
            message = _("Say which team it is for.")
            raise Refusal(message, errors={"team": [message]})
        return only[0]

    def validated(
        self, serializer: type[serializers.BaseSerializer[Any]] | None = None, *, partial: bool = False
    ) -> dict[str, Any]:
        """The request's body as the serializer (the viewset's own unless named) reads it. Raises ValidationError."""
        given = (serializer or self.get_serializer_class())(
            data=self.request.data, partial=partial, context=self.get_serializer_context()
        )
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def answer(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(row).data, status=code)


class VisibleField(serializers.PrimaryKeyRelatedField):
    """A row that the caller can see, by its id. Others are answered as if they did not exist."""

    def __init__(self, model: type[Model], **options: Any) -> None:
        self.model = model
        super().__init__(queryset=model._default_manager.all(), **options)

    def get_queryset(self) -> QuerySet[Any]:
        user = self.context["request"].user
        if self.model is Team:
            return access.teams_for(user)
        return access.visible(self.model._default_manager.all(), user)


class TeamSerializer(StrictSerializer, serializers.ModelSerializer[Team]):
    """A team, and the caller's role in it (`admin` for platform staff)."""

    role = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields = ("id", "name", "role", "created_at")
        # The service says it better than a unique validator, and to pages as well.
        extra_kwargs: ClassVar[dict[str, dict[str, Any]]] = {"name": {"validators": []}}

    def get_role(self, team: Team) -> str:
        user = self.context["request"].user
        if access.is_platform_staff(user):
            return Role.ADMIN
        return next((each.role for each in team.memberships.all() if each.user_id == user.pk), "")


class MembershipSerializer(StrictSerializer, serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username", read_only=True)
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ("username", "role")


class TeamViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Team]):
    """Teams that the caller is a member of. Platform staff see all, and make new ones."""

    serializer_class = TeamSerializer
    lookup_value_regex = UUID
    filterset_fields = ("name",)
    ordering_fields = ("name", "created_at")

    def get_queryset(self) -> QuerySet[Team]:
        if getattr(self, "swagger_fake_view", False):
            return Team.objects.none()
        return access.teams_for(self.request.user).prefetch_related("memberships").order_by("name")

    def _team(self, wanted: Action) -> Team:
        team = get_object_or_404(access.teams_for(self.request.user), pk=self.kwargs["pk"])
        access.require(self.request.user, wanted, team)
        return team

    def create(self, request: Request) -> Response:
        if not access.is_platform_staff(request.user):
            raise PermissionDenied(_("Only platform staff can make teams."))
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        team = services.add_team(**given.validated_data, by=Actor.of(request))
        return Response(self.get_serializer(team).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        team = self._team(Action.ADMINISTER)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        team = services.rename_team(team, **given.validated_data, by=Actor.of(request))
        return Response(self.get_serializer(team).data)

    @extend_schema(responses=MembershipSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def members(self, request: Request, pk: str) -> Response:
        """Who is in the team, and in which role."""
        rows = self._team(Action.VIEW).memberships.select_related("user").order_by("user__username")
        return Response(MembershipSerializer(rows, many=True).data)

    @extend_schema(
        request=MembershipSerializer,
        responses=MembershipSerializer,
        parameters=[OpenApiParameter("username", str, OpenApiParameter.PATH)],
    )
    @action(detail=True, methods=["put"], url_path=f"members/(?P<username>{USERNAME})")
    def member(self, request: Request, pk: str, username: str) -> Response:
        """Make somebody a member, or change their role."""
        team = self._team(Action.ADMINISTER)
        given = MembershipSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        membership = services.set_member(
            team, username=username, role=given.validated_data["role"], by=Actor.of(request)
        )
        return Response(MembershipSerializer(membership).data)

    @extend_schema(responses={204: None}, parameters=[OpenApiParameter("username", str, OpenApiParameter.PATH)])
    @member.mapping.delete
    def remove_member(self, request: Request, pk: str, username: str) -> Response:
        """Take somebody out of the team."""
        team = self._team(Action.ADMINISTER)
        membership = team.memberships.filter(user__username=username).first()
        if membership is None:
            raise Http404
        services.remove_member(membership, by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenSerializer(StrictSerializer, serializers.ModelSerializer[ApiToken]):
    """A token of the caller; its text is only in the answer that made it."""

    days = serializers.IntegerField(
        write_only=True, required=False, allow_null=True, default=None, help_text="How long it lasts; no end if null."
    )

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = ("id", "name", "hint", "created_at", "last_used_at", "expires_at", "days")
        read_only_fields = ("hint", "created_at", "last_used_at", "expires_at")


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")


class TokenViewSet(mixins.ListModelMixin, GenericViewSet[ApiToken]):
    """The caller's own API tokens."""

    serializer_class = TokenSerializer
    queryset = ApiToken.objects.none()
    lookup_value_regex = r"\d{1,18}"
    ordering_fields = ("name", "created_at", "last_used_at", "expires_at")

    def get_queryset(self) -> QuerySet[ApiToken]:
        if getattr(self, "swagger_fake_view", False):
            return ApiToken.objects.none()
        return ApiToken.objects.filter(user=self.request.user.pk)

    @extend_schema(responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        given = TokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made, text = services.issue_token(request.user, **given.validated_data, by=Actor.of(request))
        body = {**TokenSerializer(made).data, "token": text}
        return Response(body, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    def destroy(self, request: Request, pk: str) -> Response:
        services.revoke_token(get_object_or_404(self.get_queryset(), pk=pk), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
