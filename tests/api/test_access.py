"""Who may do what over the API: every route and verb, for every kind of caller."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from django.urls import get_resolver

from teams.models import ApiToken
from tests import factories
from tests.api.conftest import Caller, as_user
from tests.factories import Company

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

CALLERS = ("nobody", "charlie", "mallory", "bob", "olivia", "alice", "staff")
KUBECONFIG = json.dumps(
    {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "sesame"}}],
    }
)
STORE = {"name": "new", "bucket": "new-bucket", "access_key_id": "a", "secret_access_key": "s"}
PAIR = {"name": "new", "source": "{source}", "destination": "{destination}", "object_store": "{store}"}
IMPORTED = {"uid": "u", "name": "imported", "destination": "{destination}", "object_store": "{store}"}
SCHEDULE = {"name": "s", "namespace": "cms", "cluster_pair": "p", "namespaces": ["cms"], "policy": "daily"}
RULE = {"name": "r", "namespace": "cms", "commands": [{"selector": {"app": "mysql"}, "command": "sync"}]}
SUSPEND = {"namespace": "cms", "name": "s", "do": "suspend"}
RULES_OF_A_TEAM = {
    "name": "new",
    "rules": [{"conditions": {}, "patches": [{"op": "remove", "path": "/metadata/labels/old"}]}],
}
TRIED = {
    "cluster": "{source}",
    "source": "- mergePatches: [{a: 1}]",
    "resource": "secrets",
    "namespace": "cms",
    "name": "mysql",
}
MIGRATION = {"pair": "{pair}", "name": "new", "namespaces": ["cms"]}


MANIFEST = {
    "apiVersion": "kubemotion.io/v1alpha1",
    "kind": "Migration",
    "metadata": {"name": "new"},
    "spec": {"pair": "dev-to-prod", "namespaces": ["cms"]},
}


class Rule(NamedTuple):
    """One verb on one route: what is sent, and the answers to CALLERS in order."""

    method: str
    path: str
    body: Any
    answers: tuple[int, ...]


# Who is in no team and who is in another sees nothing of the team: 404, not 403.
VIEW = (401, 404, 404, 200, 200, 200, 200)
OPERATE = (401, 404, 404, 403, 200, 200, 200)
ADMINISTER = (401, 404, 404, 403, 403, 200, 200)
LIST = (401, 200, 200, 200, 200, 200, 200)


def gone(answers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(204 if answer == 200 else answer for answer in answers)


def accepted(answers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(202 if answer == 200 else answer for answer in answers)


def made(answers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(201 if answer == 200 else answer for answer in answers)


def added(answers: tuple[int, ...]) -> tuple[int, ...]:
    """Adding below a team that one cannot see is a wrong value in the body, as any that does not exist."""
    return tuple({200: 201, 404: 400}.get(answer, answer) for answer in answers)


def refused(answers: tuple[int, ...], status: int = 400) -> tuple[int, ...]:
    return tuple({200: status}.get(answer, answer) for answer in answers)


def conflicting(answers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple({200: 409}.get(answer, answer) for answer in answers)


def body_of(answers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple({404: 400}.get(answer, answer) for answer in answers)


RULES = [
    Rule("GET", "/", None, LIST),
    Rule("GET", "/teams/", None, LIST),
    Rule("POST", "/teams/", {"name": "New"}, (401, 403, 403, 403, 403, 403, 201)),
    Rule("GET", "/teams/{team}/", None, VIEW),
    Rule("PATCH", "/teams/{team}/", {"name": "Renamed"}, ADMINISTER),
    Rule("GET", "/teams/{team}/members/", None, VIEW),
    Rule("PUT", "/teams/{team}/members/charlie/", {"role": "viewer"}, ADMINISTER),
    Rule("DELETE", "/teams/{team}/members/bob/", None, gone(ADMINISTER)),
    Rule("GET", "/clusters/", None, LIST),
    Rule("POST", "/clusters/", {"team": "{team}", "name": "new", "kubeconfig": KUBECONFIG}, added(ADMINISTER)),
    Rule("GET", "/clusters/{source}/", None, VIEW),
    Rule("PATCH", "/clusters/{source}/", {"name": "renamed"}, ADMINISTER),
    Rule("DELETE", "/clusters/{free_cluster}/", None, gone(ADMINISTER)),
    Rule("POST", "/clusters/{source}/check/", None, OPERATE),
    Rule("GET", "/clusters/{source}/namespaces/", None, OPERATE),
    Rule("GET", "/clusters/{source}/storage-classes/", None, VIEW),
    # The clusters do not answer here.
    Rule("GET", "/clusters/{source}/volumes/?namespace=cms", None, refused(OPERATE)),
    Rule("GET", "/clusters/{source}/objects/?namespace=cms", None, refused(OPERATE)),
    Rule("GET", "/clusters/{source}/credentials/", None, refused(OPERATE)),
    Rule("GET", "/clusters/{source}/cluster-pairs/", None, refused(OPERATE)),
    Rule("POST", "/clusters/{source}/cluster-pairs/", IMPORTED, refused(ADMINISTER)),
    Rule("GET", "/object-stores/", None, LIST),
    Rule("POST", "/object-stores/", {"team": "{team}", **STORE}, added(ADMINISTER)),
    Rule("GET", "/object-stores/{store}/", None, VIEW),
    Rule("PATCH", "/object-stores/{store}/", {"name": "renamed"}, ADMINISTER),
    Rule("DELETE", "/object-stores/{free_store}/", None, gone(ADMINISTER)),
    Rule("POST", "/object-stores/{store}/check/", None, OPERATE),
    Rule("GET", "/pairs/", None, LIST),
    Rule("POST", "/pairs/", {"team": "{team}", **PAIR}, added(ADMINISTER)),
    Rule("GET", "/pairs/{pair}/", None, VIEW),
    Rule("PATCH", "/pairs/{pair}/", {"name": "renamed"}, ADMINISTER),
    Rule("DELETE", "/pairs/{free_pair}/", None, gone(ADMINISTER)),
    Rule("POST", "/pairs/{pair}/check/", None, OPERATE),
    Rule("POST", "/pairs/{portworx_pair}/set-up/", {"replace_credentials": True}, accepted(ADMINISTER)),
    Rule("POST", "/pairs/{portworx_pair}/validate/", None, accepted(OPERATE)),
    Rule("POST", "/pairs/{portworx_pair}/take-down/", {"credentials": True}, accepted(ADMINISTER)),
    Rule("GET", "/pairs/{portworx_pair}/steps/", None, VIEW),
    Rule("GET", "/pairs/{portworx_pair}/document/", None, VIEW),
    # The destination does not answer here.
    Rule("GET", "/pairs/{portworx_pair}/document/?secrets=true", None, refused(ADMINISTER, 502)),
    Rule("GET", "/pairs/{stork_pair}/schedules/", None, VIEW),
    # What is asked for is refused by the clusters, which do not answer here.
    Rule("POST", "/pairs/{stork_pair}/schedules/", SCHEDULE, refused(OPERATE)),
    Rule("POST", "/pairs/{stork_pair}/schedules/policies/", {"name": "p", "interval_minutes": 5}, refused(OPERATE)),
    Rule("POST", "/pairs/{stork_pair}/schedules/rules/", RULE, refused(OPERATE)),
    Rule("POST", "/pairs/{stork_pair}/schedules/act/", SUSPEND, refused(OPERATE)),
    # The pair's engine has no part of Stork here, or its cluster does not answer.
    Rule("GET", "/pairs/{pair}/stork-migrations/", None, conflicting(OPERATE)),
    Rule("POST", "/pairs/{pair}/stork-migrations/", {"uids": ["u"]}, conflicting(OPERATE)),
    Rule("GET", "/migrations/{migration}/stork/", None, conflicting(VIEW)),
    Rule("GET", "/migrations/", None, LIST),
    Rule("POST", "/migrations/", MIGRATION, added(OPERATE)),
    Rule("POST", "/migrations/plan/", {"pair": "{pair}", "namespaces": ["cms"]}, body_of(OPERATE)),
    Rule("GET", "/migrations/{migration}/", None, VIEW),
    Rule("DELETE", "/migrations/{finished}/", None, gone(OPERATE)),
    Rule("POST", "/migrations/{migration}/cancel/", {}, OPERATE),
    Rule("POST", "/migrations/{migration}/pause/", {"reason": "maintenance"}, OPERATE),
    Rule("POST", "/migrations/{migration}/resume/", {}, OPERATE),
    Rule("POST", "/migrations/{finished}/pause/", {}, conflicting(OPERATE)),
    # Another migration onto the same namespace is under way.
    Rule("POST", "/migrations/{finished}/roll-back/", None, refused(OPERATE, 409)),
    Rule("GET", "/migrations/{finished}/roll-back/", None, refused(OPERATE, 409)),
    Rule("POST", "/migrations/{verified}/verify/", None, OPERATE),
    Rule("GET", "/migrations/{verified}/verify/", None, VIEW),
    Rule("DELETE", "/migrations/{verifying}/verify/", None, OPERATE),
    Rule("GET", "/migrations/{migration}/volumes/", None, VIEW),
    Rule("GET", "/migrations/{migration}/resources/", None, VIEW),
    Rule("GET", "/migrations/{migration}/events/", None, VIEW),
    Rule("GET", "/transformations/", None, LIST),
    Rule("POST", "/transformations/", {"team": "{team}", **RULES_OF_A_TEAM}, added(OPERATE)),
    Rule("GET", "/transformations/{transformation}/", None, VIEW),
    Rule("PATCH", "/transformations/{transformation}/", {"name": "renamed"}, OPERATE),
    Rule("DELETE", "/transformations/{transformation}/", None, gone(OPERATE)),
    # The cluster does not answer here; whoever operates nowhere is refused before it is asked for.
    Rule("POST", "/transformations/preview/", TRIED, (401, 403, 400, 403, 400, 400, 400)),
    Rule("POST", "/migrations/apply/", MANIFEST, added(OPERATE)),
    Rule("GET", "/migrations/{migration}/manifest/", None, VIEW),
    Rule("GET", "/plans/", None, LIST),
    Rule("POST", "/plans/", {"pair": "{pair}", "namespaces": ["cms"]}, added(OPERATE)),
    Rule("GET", "/plans/{plan}/", None, VIEW),
    Rule("DELETE", "/plans/{plan}/", None, gone(OPERATE)),
    Rule("GET", "/plans/{plan}/objects/", None, VIEW),
    Rule("GET", "/plans/{plan}/objects/{object}/", None, VIEW),
    Rule("GET", "/plans/{plan}/objects/{object}/yaml/", None, OPERATE),
    Rule("GET", "/plans/{plan}/lacks/", None, VIEW),
    Rule("GET", "/plans/{plan}/suggestions/", None, VIEW),
    Rule("POST", "/plans/{plan}/decide-suggestions/", {"state": "dismissed"}, OPERATE),
    Rule("GET", "/plans/{plan}/checks/", None, VIEW),
    Rule("POST", "/plans/{plan}/choose/", {"kinds": ["secrets"], "included": False}, OPERATE),
    Rule("POST", "/plans/{plan}/look-again/", {}, OPERATE),
    Rule("POST", "/plans/{plan}/migrate/", {}, made(OPERATE)),
    Rule("GET", "/plans/{plan}/export/", None, OPERATE),
    Rule("GET", "/plans/{plan}/export/?secrets=true", None, ADMINISTER),
    Rule("GET", "/tokens/", None, LIST),
    Rule("POST", "/tokens/", {"name": "new"}, added(LIST)),
    # Alice's token: nobody else's business, staff included.
    Rule("DELETE", "/tokens/{token}/", None, (401, 404, 404, 404, 404, 204, 404)),
    Rule("GET", "/audit/", None, LIST),
    Rule("GET", "/audit/{entry}/", None, VIEW),
]


@pytest.fixture
def names(world: Company) -> dict[str, str]:
    from audit.actor import Actor
    from audit.record import record

    free_cluster = factories.cluster(world.team, "free")
    free_store = factories.object_store(world.team, "free")
    free_pair = factories.pair(
        world.team,
        "free",
        source=world.pair.source,
        destination=world.pair.destination,
        object_store=world.pair.object_store,
    )
    stork_pair = factories.pair(
        world.team,
        "stork",
        source=world.pair.source,
        destination=world.pair.destination,
        object_store=world.pair.object_store,
        engine="portworx",
    )
    portworx_pair = factories.portworx_pair(
        world.team,
        source=world.pair.source,
        destination=factories.cluster(world.team, "elsewhere", kubeconfig=KUBECONFIG),
        object_store=world.pair.object_store,
    )
    finished = factories.migration(world.pair, "finished", status="Successful", cleaned_up=True)
    over = {"stage": "Final", "status": "Successful", "cleaned_up": True}
    verified = factories.migration_under_way(world.pair, "verified", **over)
    factories.verification(verified)
    verifying = factories.migration_under_way(world.pair, "verifying", **over)
    factories.verification(verifying, status="InProgress", finished_at=None)
    entry = record(Actor(user=world.alice), "cluster.add", world.pair.source)
    ids = {
        "team": world.team.pk,
        "source": world.pair.source.pk,
        "destination": world.pair.destination.pk,
        "store": world.pair.object_store.pk,
        "pair": world.pair.pk,
        "migration": world.migration.pk,
        "finished": finished.pk,
        "verified": verified.pk,
        "verifying": verifying.pk,
        "transformation": factories.transformation(world.team).pk,
        "free_cluster": free_cluster.pk,
        "free_store": free_store.pk,
        "free_pair": free_pair.pk,
        "stork_pair": stork_pair.pk,
        "portworx_pair": portworx_pair.pk,
        "token": ApiToken.issue(world.alice, "hers")[0].pk,
        "entry": entry.pk,
        "plan": world.plan.pk,
        "object": world.plan.objects_planned.all()[0].pk,
    }
    return {key: str(value) for key, value in ids.items()}


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, names) for key, each in value.items()}
    if isinstance(value, str) and value.startswith("{") and value.endswith("}") and value[1:-1] in names:
        return names[value[1:-1]]
    return value


@pytest.mark.parametrize(
    ("rule", "who"),
    [pytest.param(rule, who, id=f"{who}-{rule.method}-{rule.path}") for rule in RULES for who in CALLERS],
)
def test_the_answer_depends_on_the_role(world: Company, names: dict[str, str], rule: Rule, who: str) -> None:
    caller = Caller({}) if who == "nobody" else as_user(getattr(world, who))
    answer = caller.call(rule.method, rule.path.format(**names), filled(rule.body, names))
    assert answer.status_code == rule.answers[CALLERS.index(who)], answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["title"]


def test_lists_hold_only_what_the_caller_may_see(world: Company, names: dict[str, str]) -> None:
    for path in ("/clusters/", "/object-stores/", "/pairs/", "/migrations/"):
        assert as_user(world.bob).get(path).json()["count"] >= 1
        assert as_user(world.mallory).get(path).json()["count"] == 0
        assert as_user(world.charlie).get(path).json()["count"] == 0
        assert as_user(world.staff).get(path).json()["count"] >= 1


def test_every_route_of_the_api_is_in_the_table(names: dict[str, str]) -> None:
    known = {(rule.method, _shape(rule.path.format(**names))) for rule in RULES}
    served = set()
    for route in _routes(get_resolver().url_patterns, ""):
        pattern, methods = route
        served |= {(method, pattern) for method in methods}
    assert served == known


def _shape(path: str) -> str:
    parts = path.partition("?")[0].strip("/").split("/")
    names = {1: "ID", 3: "NAME"}
    fixed = {"plan", "preview", "apply", "policies", "rules", "act"}
    return "/".join(part if i not in names or part in fixed else names[i] for i, part in enumerate(parts))


def _routes(patterns: Any, before: str) -> list[tuple[str, set[str]]]:
    """Each address below /api/v1/ with the verbs that its view serves."""
    found = []
    for each in patterns:
        text = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            found += _routes(each.url_patterns, text)
        elif text.startswith("api/v1/"):
            path = text.removeprefix("api/v1/").replace("^", "").replace("$", "").strip("/").replace("\\", "")
            actions = getattr(each.callback, "actions", None) or {"get": "get"}
            found.append((_named(path), {method.upper() for method in actions if method not in {"head", "options"}}))
    return found


def _named(path: str) -> str:
    import re

    path = re.sub(r"\(\?P<pk>(?:[^()]|\([^()]*\))*\)", "ID", path)
    return re.sub(r"\(\?P<(username|row)>[^()]*\)", "NAME", path)
