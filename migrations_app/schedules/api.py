"""The API of a pair's schedules: what the page shows and does."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from audit.actor import Actor
from clusters.models import ClusterPair
from clusters.portworx.migration import MigrationSpec
from clusters.portworx.policies import Policy
from clusters.portworx.rules import Action as Command
from clusters.portworx.schedules import Schedule
from migrations_app.schedules import services
from migrations_app.schedules.overview import Side, both_sides
from teams import access
from teams.access import Action
from teams.api import StrictSerializer


class ScheduleSerializer(StrictSerializer):
    """A MigrationSchedule in the namespace of its ClusterPair."""

    name = serializers.CharField(max_length=253)
    namespace = serializers.CharField(max_length=63)
    cluster_pair = serializers.CharField(max_length=253)
    namespaces = serializers.ListField(child=serializers.CharField(max_length=63), min_length=1)
    policy = serializers.CharField(max_length=253)
    include_volumes = serializers.BooleanField(default=True)
    include_resources = serializers.BooleanField(default=True)
    start_applications = serializers.BooleanField(default=False)
    purge_deleted_resources = serializers.BooleanField(default=False)
    selectors = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)
    exclude_selectors = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)
    pre_exec_rule = serializers.CharField(required=False, allow_blank=True)
    post_exec_rule = serializers.CharField(required=False, allow_blank=True)
    auto_suspend = serializers.BooleanField(default=True)


class PolicySerializer(StrictSerializer):
    """A SchedulePolicy; times are written like 3:04PM."""

    name = serializers.CharField(max_length=253)
    namespace = serializers.CharField(max_length=63, required=False, allow_blank=True, default="")
    interval_minutes = serializers.IntegerField(required=False, min_value=1)
    daily = serializers.CharField(required=False)
    weekly_day = serializers.CharField(required=False)
    weekly = serializers.CharField(required=False)
    monthly_date = serializers.IntegerField(required=False, min_value=1, max_value=31)
    monthly = serializers.CharField(required=False)


class CommandSerializer(StrictSerializer):
    selector = serializers.DictField(child=serializers.CharField(allow_blank=True))
    command = serializers.CharField()
    container = serializers.CharField(required=False, allow_blank=True)
    background = serializers.BooleanField(default=False)
    single_pod = serializers.BooleanField(default=False)


class RuleSerializer(StrictSerializer):
    name = serializers.CharField(max_length=253)
    namespace = serializers.CharField(max_length=63)
    commands = CommandSerializer(many=True)


class ActSerializer(StrictSerializer):
    """What is done with a schedule. `skip_source` (failover only) leaves a source alone that is lost."""

    namespace = serializers.CharField(max_length=63)
    name = serializers.CharField(max_length=253)
    do = serializers.ChoiceField(
        choices=["suspend", "resume", "remove", "activate", "deactivate", "failover", "failback"]
    )
    namespaces = serializers.ListField(child=serializers.CharField(max_length=63), required=False)
    skip_source = serializers.BooleanField(default=False)


class DoneSerializer(serializers.Serializer[Any]):
    done = serializers.ListField(child=serializers.CharField(), help_text="What was done, in storkctl's words.")


class ScheduleViewSet(GenericViewSet[ClusterPair]):
    """Stork's schedules of a Portworx pair, read from its clusters."""

    serializer_class = ScheduleSerializer
    pagination_class = None
    filter_backends = ()

    def _pair(self, wanted: Action) -> ClusterPair:
        pairs = ClusterPair.objects.select_related("team", "source", "destination")
        pair = access.get(pairs, self.request.user, self.kwargs["pk"], wanted)
        if pair.engine != services.ENGINE:
            raise Http404
        return pair

    def _given(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        given = serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    @extend_schema(responses={200: dict})
    def list(self, request: Request, pk: str) -> Response:
        """Schedules, policies, rules, ClusterPairs, failovers and failbacks on both sides, as they are now."""
        source, destination = both_sides(self._pair(Action.VIEW))
        return Response({"source": _side(source), "destination": _side(destination)})

    @extend_schema(request=ScheduleSerializer, responses={201: ScheduleSerializer})
    def create(self, request: Request, pk: str) -> Response:
        """Add a schedule on the source."""
        pair, given = self._pair(Action.OPERATE), self._given(ScheduleSerializer)
        own = {name: given[name] for name in ("name", "namespace", "policy", "auto_suspend")}
        spec = {name: value for name, value in given.items() if name not in own}
        spec["namespaces"] = tuple(spec["namespaces"])
        services.add_schedule(pair, **own, spec=MigrationSpec(**spec), by=Actor.of(request))
        return Response(given, status=status.HTTP_201_CREATED)

    @extend_schema(request=PolicySerializer, responses={201: PolicySerializer})
    @action(detail=False, methods=["post"])
    def policies(self, request: Request, pk: str) -> Response:
        """Add a schedule policy on the source."""
        pair, given = self._pair(Action.OPERATE), self._given(PolicySerializer)
        policy = Policy(**{name: value for name, value in given.items() if name not in ("name", "namespace")})
        services.add_policy(pair, name=given["name"], namespace=given["namespace"], policy=policy, by=Actor.of(request))
        return Response(given, status=status.HTTP_201_CREATED)

    @extend_schema(request=RuleSerializer, responses={201: RuleSerializer})
    @action(detail=False, methods=["post"])
    def rules(self, request: Request, pk: str) -> Response:
        """Add a rule on the source."""
        pair, given = self._pair(Action.OPERATE), self._given(RuleSerializer)
        commands = [Command(**each) for each in given["commands"]]
        services.add_rule(
            pair, name=given["name"], namespace=given["namespace"], commands=commands, by=Actor.of(request)
        )
        return Response(given, status=status.HTTP_201_CREATED)

    @extend_schema(request=ActSerializer, responses=DoneSerializer)
    @action(detail=False, methods=["post"])
    def act(self, request: Request, pk: str) -> Response:
        """Suspend, resume or remove a schedule, start or stop what it brought, fail over or back."""
        pair, given = self._pair(Action.OPERATE), self._given(ActSerializer)
        by, place, do = Actor.of(request), (given["namespace"], given["name"]), given["do"]
        namespaces = given.get("namespaces") or []
        if do in services.SIMPLE:
            done = [services.SIMPLE[do](pair, *place, by=by)]
        elif do == "failover":
            skip = given["skip_source"]
            done = [services.fail_over(pair, *place, namespaces=namespaces, skip_source=skip, by=by)]
        elif do == "failback":
            done = [services.fail_back(pair, *place, namespaces=namespaces, by=by)]
        else:
            done = services.activate(pair, place[0], active=do == "activate", by=by)
        return Response({"done": done})


def _side(side: Side) -> dict[str, Any]:
    return {
        "cluster": side.cluster.name,
        "trouble": side.trouble,
        "schedules": [_schedule(each) for each in side.schedules],
        "copies": [_schedule(each) for each in side.copies],
        "policies": [{"name": each.name, "namespace": each.namespace, **vars(each.policy)} for each in side.policies],
        "rules": [
            {
                "name": each.name,
                "namespace": each.namespace,
                "commands": [{**vars(command), "selector": dict(command.selector)} for command in each.commands],
            }
            for each in side.rules
        ],
        "cluster_pairs": [vars(each) for each in side.pairs],
        "actions": [
            {**vars(each), "kind": str(each.kind), "stage_text": each.kind.stage(each.stage)} for each in side.actions
        ],
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "namespace": schedule.namespace,
        "policy": schedule.policy,
        "cluster_pair": schedule.spec.cluster_pair,
        "namespaces": list(schedule.spec.namespaces),
        "spec": schedule.spec.to_object(),
        "suspended": schedule.suspended,
        "auto_suspend": schedule.auto_suspend,
        "applications_activated": schedule.applications_activated,
        "runs": [vars(run) for run in schedule.runs],
    }
