"""Everything that commonly goes wrong with Portworx and Stork, provoked on the clusters, and read on the page.

Each case is a thing that somebody does; each page has cause and remedy in plain words, and beside them the words
of pxctl or Stork, where they said any.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from clusters.models import Cluster, ObjectStore, PortworxPairing
from clusters.pairing import jobs
from clusters.portworx import credentials
from demo.portworx import pxctl
from demo.portworx.storage import storage_of
from migrations_app.models import Migration
from tests.engine.conftest import Estate
from tests.portworx_estate import hand


@dataclass
class Person:
    """Somebody who presses buttons and reads pages."""

    px: Estate
    client: Client

    def read(self, path: str) -> str:
        """The words of the page, without its marks."""
        answer = self.client.get(path)
        assert answer.status_code == 200, path
        return self.words(answer)

    @staticmethod
    def words(answer: HttpResponse) -> str:
        main = re.search(r"<main\b.*?</main>", answer.content.decode(), re.S)
        assert main is not None
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main[0])).split())

    def press(self, verb: str, **given: str) -> str:
        """Have workers do a job of the pair, and what its page says afterwards."""
        path = f"/pairs/{self.px.pair.pk}/"
        assert self.client.post(f"{path}{verb}/", given).status_code == 302
        deadline = time.monotonic() + 60
        while (pairing := PortworxPairing.objects.get(pair=self.px.pair)).is_working:
            assert time.monotonic() < deadline, pairing.steps
            PortworxPairing.objects.filter(pk=pairing.pk).update(next_look_at=timezone.now())
            jobs.look(pairing.pk)
        return self.read(path)

    def check_clusters(self) -> None:
        """Look at both clusters now."""
        for cluster in Cluster.objects.all():
            assert self.client.post(f"{cluster.get_absolute_url()}check/").status_code == 302

    def edit(self, **portworx: Any) -> None:
        """Change the pair's Portworx part by the API."""
        self._send("patch", f"/api/v1/pairs/{self.px.pair.pk}/", {"portworx": portworx}, 200)

    def migrate(self, **given: Any) -> str:
        """Start a migration, and what its page says at its end."""
        body = {"pair": str(self.px.pair.pk), "namespaces": ["cms"], "name": "cmsmigration", **given}
        made = self._send("post", "/api/v1/migrations/", body, 201)
        migration = self.px.drive(Migration.objects.get(pk=made["id"]))
        return self.read(migration.get_absolute_url())

    def _send(self, method: str, path: str, body: Any, expected: int) -> Any:
        answer = getattr(self.client, method)(path, body, content_type="application/json")
        assert answer.status_code == expected, answer.content
        return answer.json()


@pytest.fixture
def person(px: Estate, client: Client) -> Iterator[Person]:
    """Alice; whatever went wrong is mended by the button afterwards."""
    client.force_login(px.by.user)
    made = Person(px, client)
    made.check_clusters()
    yield made
    made.check_clusters()
    made.edit(namespace="kube-system", object_name="prod", endpoint_host="")
    ObjectStore.objects.update(secret_access_key=px.s3.keys.secret_access_key)
    if "Storage and scheduler are Ready." not in made.press("set-up", replace_credentials="on", take_over="on"):
        pytest.fail(made.read(f"/pairs/{px.pair.pk}/"))


def replaced_pair(px: Estate, **options: str) -> None:
    """The ClusterPair made anew with other options, as somebody does who edits the document by hand."""
    px.on("dev").delete(f"clusterpairs.{hand.STORK}", "prod", "kube-system")

    def gone() -> bool:
        return not px.dev.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))

    hand.until(gone)
    given = {"ip": hand.load_balancer(px.prod), "port": "9001", "token": px.prod.call(storage_of).token, **options}
    hand.create(px.dev, "clusterpairs", hand.pair_document("prod", "kube-system", px.prod, **given))
    hand.until(lambda: hand.statuses(px.dev, "kube-system", "prod") == ("Error", "Ready"))


def wrong_token(person: Person) -> str:
    replaced_pair(person.px, token="0" * 128)
    return person.press("validate")


def wrong_port(person: Person) -> str:
    replaced_pair(person.px, port="notaport")
    return person.press("validate")


def name_with_another_uuid(person: Person) -> str:
    px = person.px
    right, wrong = (credentials.name_for(cluster.call(storage_of).uuid) for cluster in (px.prod, px.dev))
    px.prod.call(lambda api: storage_of(api).remove_credential(right))
    hand.add_credentials(px.prod, px.s3, wrong)
    words = person.press("validate")
    px.prod.call(lambda api: storage_of(api).remove_credential(wrong))
    return words


def endpoint_that_does_not_answer(person: Person) -> str:
    person.edit(endpoint_host="nobody.example.com")
    return person.press("set-up")


def bad_keys(person: Person) -> str:
    store = ObjectStore.objects.get()
    store.secret_access_key = "not-the-secret"
    store.save()
    return person.press("set-up", replace_credentials="on")


def missing_rule(person: Person) -> str:
    return person.migrate(stork_options={"preExecRule": "quiesce"})


def namespace_that_is_not_allowed(person: Person) -> str:
    person.edit(namespace="default")
    given = {"pair": str(person.px.pair.pk), "namespaces": ["cms"], "name": "cmsmigration"}
    what = {"include_volumes": "on", "include_resources": "on", "conflict_policy": "update"}
    answer = person.client.post("/migrations/new/", {**given, **what})
    assert answer.status_code == 422
    return person.words(answer)


def licence_without_migration(person: Person) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pxctl.LICENCE, "Cluster-level migration [Kube-motion/Data Migration]", "no")
        return person.press("set-up")


def licence_without_migration_on_the_cluster(person: Person) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pxctl.LICENCE, "Cluster-level migration [Kube-motion/Data Migration]", "no")
        person.check_clusters()
        return person.read(Cluster.objects.get(name="prod").get_absolute_url())


@dataclass(frozen=True)
class Case:
    """What somebody does; which words have to stand on the page: cause, remedy, and what pxctl or Stork said."""

    provoke: Callable[[Person], str]
    cause: str
    remedy: str
    said: str = ""


CASES = (
    Case(
        wrong_token,
        "Portworx could not be paired: the destination does not accept the token.",
        "the destination's token is read anew",
        "Token authentication failed",
    ),
    Case(
        wrong_port,
        "Portworx could not be paired: the port is not a number.",
        "Give the pair a port number",
        "invalid port (notaport) specified for cluster pair",
    ),
    Case(
        name_with_another_uuid,
        "There are no credentials clusterPair_",
        "Portworx finds them only under exactly this name.",
        "there are clusterPair_",
    ),
    Case(
        endpoint_that_does_not_answer,
        "nobody.example.com:9001 cannot be reached from dev.",
        "open ports 9001 and 9010 between the clusters",
        "Could not resolve host",
    ),
    Case(
        bad_keys,
        "the object store does not accept the key pair",
        "Give the object store its right key pair",
        "SignatureDoesNotMatch",
    ),
    Case(
        missing_rule,
        "There is no Rule quiesce in namespace kube-system (preExecRule).",
        "Make it there, or leave it out.",
    ),
    Case(
        namespace_that_is_not_allowed,
        "The ClusterPair prod is in namespace default, so that Stork migrates only this one over it.",
        "A pair whose ClusterPair is in kube-system migrates any namespace.",
    ),
    Case(
        licence_without_migration,
        "The licence of Portworx does not allow migrations",
        "Install one with “Cluster-level migration”, or use the native engine.",
    ),
    Case(
        licence_without_migration_on_the_cluster,
        "The licence of Portworx does not allow migrations",
        "Install one with “Cluster-level migration”, or use the native engine.",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.provoke.__name__)
def test_the_page_says_what_went_wrong_and_what_to_do(person: Person, case: Case) -> None:
    words = case.provoke(person)
    for expected in (case.cause, case.remedy, case.said):
        assert expected in words
    for secret in (person.px.s3.keys.secret_access_key, person.px.prod.call(storage_of).token, "not-the-secret"):
        assert secret not in words
