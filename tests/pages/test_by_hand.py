"""Everything that a button does with Portworx and Stork has its equivalent for copying, without secrets."""

from __future__ import annotations

from django.test import Client

from clusters.models import PairingJob, PortworxPairing
from clusters.pairing import documents, jobs
from clusters.pairing.steps import Code
from migrations_app.by_hand import commands
from migrations_app.schedules import by_hand
from migrations_app.schedules.views import VERBS
from tests import factories

UUID = "c02528e3-30b1-43e7-91c0-c26c111d57b3"


def pairing(company: factories.Company, **fields: object) -> PortworxPairing:
    store = factories.object_store(
        company.team, "px-store", access_key_id="key-id-canary", secret_access_key="secret-canary"
    )
    pair = factories.portworx_pair(
        company.team,
        source=factories.cluster(company.team, "from", portworx={"namespace": "portworx", "cluster_uuid": "a" * 8}),
        destination=factories.cluster(company.team, "onto", portworx={"cluster_uuid": UUID}),
        object_store=store,
    )
    PortworxPairing.objects.filter(pair=pair).update(**fields)
    return PortworxPairing.objects.select_related(
        "pair__source", "pair__destination", "pair__object_store", "pair__team"
    ).get(pair=pair)


def test_every_step_of_every_job_has_its_commands(company: factories.Company) -> None:
    found = pairing(company, both_directions=True, with_backup_location=True)
    typed = documents.commands_of(found)
    wanted = {
        code
        for job in (PairingJob.SET_UP, PairingJob.TEAR_DOWN)
        for code in jobs.codes_of(found, job, {"credentials": True})
    }
    assert {code for code in wanted if not typed.get(code.value)} == set()
    assert all(f"--context {name} " in typed[code] for code, name in (("object", "from"), ("object-back", "onto")))
    assert "canary" not in "".join(typed.values())


def test_what_stays_on_the_clusters_is_told_with_its_commands(company: factories.Company) -> None:
    own, credentials = documents.removal_of(pairing(company))
    assert own["commands"] == "oc --context from delete clusterpair remote -n kube-system"
    assert credentials["code"] == Code.CREDENTIALS
    assert credentials["commands"].count(f"credentials delete clusterPair_{UUID}") == 2
    assert "-n portworx exec" in credentials["commands"]


def test_a_migration_by_stork_names_its_own_pair(company: factories.Company) -> None:
    found = pairing(company, endpoint="px.example.com:9005", mode="DisasterRecovery")
    lines = "\n".join(each.lines for each in commands(factories.migration(found.pair, "stork")))
    wanted = ("clusterPair_" + UUID, "px.example.com", '"9005"', "DisasterRecovery", "-n portworx exec", "port-forward")
    assert [each for each in wanted if each not in lines] == []
    assert "canary" not in lines


def test_every_verb_of_a_schedule_has_its_commands(company: factories.Company) -> None:
    pair = pairing(company).pair
    for verb in VERBS:
        assert "sched1" in by_hand.of_verb(pair, verb, "cms", "sched1") or verb in ("activate", "deactivate")
        assert "-n cms" in by_hand.of_verb(pair, verb, "cms", "sched1")
    whole = "\n".join(each.lines for each in by_hand.commands(pair))
    wanted = (
        "kind: MigrationSchedule",
        "kind: SchedulePolicy",
        "kind: Rule",
        "perform failover -m",
        "activate migrations",
    )
    assert [each for each in wanted if each not in whole] == []


def test_removing_a_pair_says_what_stays_and_names_take_down(company: factories.Company, alice: Client) -> None:
    pair = pairing(company).pair
    page = alice.get(f"/pairs/{pair.pk}/remove/").content.decode()
    assert f"/pairs/{pair.pk}/take-down/" in page
    assert f"credentials delete clusterPair_{UUID}" in page
    assert "delete clusterpair" not in alice.get(f"/pairs/{company.pair.pk}/remove/").content.decode()
