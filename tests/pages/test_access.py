"""Every address, asked by everybody: one table says what each person gets. An address that is not in it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from clusters.models import ClusterPair, PortworxPairing
from teams.models import ApiToken, Membership
from tests import factories

PEOPLE = ("anonymous", "charlie", "bob", "olivia", "alice", "mallory", "staff")
SIGN_IN = 302


def row(*statuses: int) -> dict[str, int]:
    return dict(zip(PEOPLE, statuses, strict=True))


# anonymous, charlie (no team), bob (viewer), olivia (operator), alice (admin), mallory (other team's admin), staff
PUBLIC = row(200, 200, 200, 200, 200, 200, 200)
SIGNED_IN = row(SIGN_IN, 200, 200, 200, 200, 200, 200)
VIEW = row(SIGN_IN, 404, 200, 200, 200, 404, 200)
OPERATE = row(SIGN_IN, 404, 403, 200, 200, 404, 200)
ADMINISTER = row(SIGN_IN, 404, 403, 403, 200, 404, 200)
OPERATE_SOMEWHERE = row(SIGN_IN, 403, 403, 200, 200, 200, 200)
ADMINISTER_SOMEWHERE = row(SIGN_IN, 403, 403, 403, 200, 200, 200)
STAFF = row(SIGN_IN, 403, 403, 403, 403, 403, 200)
# The same where success answers with a redirect to the page of the object.
OPERATE_POST = OPERATE | dict.fromkeys(("olivia", "alice", "staff"), 302)
ADMINISTER_POST = ADMINISTER | dict.fromkeys(("alice", "staff"), 302)
VIEW_REDIRECT = VIEW | dict.fromkeys(("bob", "olivia", "alice", "staff"), 302)
# Mallory administers a team, but not this one's cluster.
IMPORT = ADMINISTER_SOMEWHERE | {"mallory": 404}
OWN_TOKEN = row(SIGN_IN, 404, 404, 404, 302, 404, 404)


@dataclass(frozen=True)
class Ask:
    """A request to an address: of what object, how, and what everybody gets."""

    expected: dict[str, int]
    of: str = ""
    method: str = "get"
    data: tuple[tuple[str, str], ...] = ()


def six(of: str, pair_of_statuses: dict[str, int] = ADMINISTER_SOMEWHERE) -> dict[str, list[Ask]]:
    return {
        f"{of}-list": [Ask(SIGNED_IN)],
        f"{of}-add": [Ask(pair_of_statuses)],
        f"{of}-detail": [Ask(VIEW, of)],
        f"{of}-edit": [Ask(ADMINISTER, of)],
        f"{of}-check": [Ask(OPERATE_POST, of, "post")],
        f"{of}-remove": [Ask(ADMINISTER, of), Ask(ADMINISTER_POST, of, "post")],
    }


TABLE: dict[str, list[Ask]] = {
    "livez": [Ask(PUBLIC)],
    "readyz": [Ask(PUBLIC)],
    "language": [Ask(row(302, 302, 302, 302, 302, 302, 302), "", "post", (("language", "en"),))],
    "login": [Ask(row(200, 302, 302, 302, 302, 302, 302))],
    "logout": [Ask(row(302, 302, 302, 302, 302, 302, 302), "", "post")],
    "account": [Ask(SIGNED_IN)],
    "account-password": [Ask(row(302, 422, 422, 422, 422, 422, 422), "", "post")],
    "token-add": [Ask(row(302, 422, 422, 422, 422, 422, 422), "", "post")],
    "token-revoke": [Ask(OWN_TOKEN, "token", "post")],
    "team-list": [Ask(SIGNED_IN)],
    "team-add": [Ask(STAFF)],
    "team-detail": [Ask(VIEW, "team")],
    "team-rename": [Ask(ADMINISTER, "team")],
    "member-set": [Ask(ADMINISTER_POST, "team", "post", (("username", "charlie"), ("role", "viewer")))],
    "member-remove": [Ask(ADMINISTER_POST, "member", "post")],
    **six("cluster"),
    "cluster-volumes": [Ask(OPERATE, "cluster")],
    "cluster-credentials": [Ask(OPERATE, "cluster")],
    **six("object-store"),
    **six("pair"),
    "pair-import": [Ask(ADMINISTER_SOMEWHERE), Ask(IMPORT, "", "get", (("cluster", "{cluster}"),))],
    # The destination does not answer here, so that there is nothing to send.
    "pair-document-whole": [Ask(ADMINISTER_POST, "portworx-pair")],
    "pair-progress": [Ask(VIEW, "portworx-pair")],
    "pair-document": [Ask(VIEW_REDIRECT, "portworx-pair")],
    "pair-set-up": [Ask(ADMINISTER_POST, "portworx-pair", "post")],
    "pair-validate": [Ask(OPERATE_POST, "portworx-pair", "post")],
    "pair-take-down": [Ask(ADMINISTER, "portworx-pair"), Ask(ADMINISTER_POST, "portworx-pair", "post")],
    "schedules": [Ask(VIEW, "stork-pair")],
    "schedule-add": [Ask(OPERATE, "stork-pair")],
    "schedule-policy-add": [Ask(OPERATE, "stork-pair")],
    "rule-add": [Ask(OPERATE, "stork-pair")],
    "schedule-act": [Ask(OPERATE, "schedule"), Ask(OPERATE_POST, "schedule", "post")],
    "migration-stork": [Ask(VIEW, "migration")],
    "migration-import": [Ask(OPERATE, "stork-pair")],
    "history": [Ask(SIGNED_IN)],
    "history-export": [Ask(SIGNED_IN)],
    "dashboard": [Ask(SIGNED_IN)],
    "migration-list": [Ask(SIGNED_IN)],
    "migration-new": [Ask(OPERATE_SOMEWHERE)],
    "migration-plan": [Ask(OPERATE_SOMEWHERE | {"mallory": 302}, "", "post")],
    "migration-checks": [
        Ask(OPERATE_SOMEWHERE | {"olivia": 422, "alice": 422, "staff": 422, "mallory": 302}, "", "post")
    ],
    "plan-list": [Ask(SIGNED_IN)],
    "plan-detail": [Ask(VIEW, "plan")],
    "plan-progress": [Ask(VIEW, "plan")],
    "plan-kind": [Ask(VIEW_REDIRECT, "plan")],
    "plan-choose": [Ask(OPERATE_POST, "plan", "post", (("resource", "secrets"), ("whole", "0")))],
    "plan-object": [Ask(VIEW, "planned-object")],
    "plan-object-yaml": [Ask(OPERATE, "planned-object")],
    "plan-suggestions": [Ask(VIEW, "plan"), Ask(OPERATE_POST, "plan", "post", (("dismiss", "all"),))],
    "plan-checks": [Ask(VIEW, "plan")],
    "plan-check-rest": [Ask(VIEW_REDIRECT, "plan")],
    # The clusters cannot be asked here, so that there is nothing to send.
    "plan-export": [Ask(OPERATE_POST, "plan"), Ask(ADMINISTER_POST, "plan", "get", (("secrets", "1"),))],
    "plan-look-again": [Ask(OPERATE_POST, "plan", "post")],
    "plan-migrate": [Ask(OPERATE_POST, "plan", "post")],
    "plan-remove": [Ask(OPERATE, "plan"), Ask(OPERATE_POST, "plan", "post")],
    "transformation-list": [Ask(SIGNED_IN)],
    "transformation-add": [Ask(OPERATE_SOMEWHERE)],
    "transformation-preview": [
        Ask(OPERATE_SOMEWHERE, "", "post"),
        # Charlie and Bob operate nowhere; Mallory does, but not this team's cluster.
        Ask(OPERATE_SOMEWHERE | {"mallory": 404}, "", "post", (("cluster", "{cluster}"),)),
    ],
    "transformation-detail": [Ask(VIEW, "transformation")],
    "transformation-edit": [Ask(OPERATE, "transformation")],
    "transformation-remove": [Ask(OPERATE, "transformation"), Ask(OPERATE_POST, "transformation", "post")],
    "migration-detail": [Ask(VIEW, "migration")],
    "migration-resources": [Ask(VIEW_REDIRECT, "migration")],
    "migration-events": [Ask(VIEW, "migration")],
    "migration-cancel": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
    "migration-pause": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
    "migration-resume": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
    "migration-roll-back": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
    "migration-verify": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
    "migration-remove": [Ask(OPERATE, "migration"), Ask(OPERATE_POST, "migration", "post")],
}


def pages(patterns: list[URLPattern | URLResolver] | None = None) -> Iterator[str]:
    """The names of all addresses but those of the API and of Django's admin, which have walks of their own."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            if str(each.pattern) not in {"api/", "admin/"}:
                yield from pages(each.url_patterns)
        else:
            assert each.name, f"{each.pattern} has no name"
            yield each.name


def test_the_table_names_every_address() -> None:
    assert set(pages()) == TABLE.keys()


def arguments(company: factories.Company, of: str) -> list[Any]:
    match of:
        case "cluster":
            return [company.source.pk]
        case "object-store":
            return [company.store.pk]
        case "pair":
            return [company.pair.pk]
        case "stork-pair" | "schedule":
            ClusterPair.objects.filter(pk=company.pair.pk).update(engine="portworx")
            return [company.pair.pk] + (["cms", "sched1", "suspend"] if of == "schedule" else [])
        case "portworx-pair":
            ClusterPair.objects.filter(pk=company.pair.pk).update(engine="portworx")
            PortworxPairing.objects.get_or_create(pair=company.pair, object_name="remote")
            return [company.pair.pk]
        case "migration":
            return [company.migration.pk]
        case "plan":
            return [company.plan.pk]
        case "transformation":
            return [factories.transformation(company.team).pk]
        case "planned-object":
            return [company.plan.pk, company.plan.objects_planned.first().pk]
        case "team":
            return [company.team.pk]
        case "member":
            return [company.team.pk, Membership.objects.get(user=company.bob).pk]
        case "token":
            return [ApiToken.issue(company.alice, "laptop")[0].pk]
    return []


class Undo(Exception):
    """Takes back what one person did, before the next one tries."""


@pytest.mark.parametrize("name", TABLE)
def test_everybody_gets_what_the_table_says(name: str, company: factories.Company) -> None:
    # Nothing is to be asked over the network here: a kubeconfig that cannot be read, a store that refuses at once.
    type(company.store).objects.update(endpoint="http://127.0.0.1:9", access_key_id="a", secret_access_key="s")
    for ask in TABLE[name]:
        got = {}
        for who in PEOPLE:
            client = Client()
            if who != "anonymous":
                client.force_login(getattr(company, who))
            try:
                with transaction.atomic():
                    path = reverse(name, args=arguments(company, ask.of))
                    data = {key: value.format(cluster=company.source.pk) for key, value in ask.data}
                    response = getattr(client, ask.method)(path, data)
                    got[who] = response.status_code
                    if who == "anonymous" and ask.expected[who] == SIGN_IN and name not in OPEN_REDIRECTS:
                        assert response["Location"].startswith(reverse("login")), response["Location"]
                    raise Undo
            except Undo:
                pass
        assert got == ask.expected, f"{ask.method.upper()} {name}"


OPEN_REDIRECTS = {"language", "logout"}


def test_the_administration_is_for_platform_staff_only(company: factories.Company) -> None:
    for who in PEOPLE:
        client = Client()
        if who != "anonymous":
            client.force_login(getattr(company, who))
        status = client.get(reverse("admin:index")).status_code
        assert status == (200 if who == "staff" else 302), who
