"""What goes wrong, and how Portworx and Stork say so."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from demo.cluster.server import ClusterHandle
from demo.s3 import RunningS3
from tests.portworx_estate import hand, replaying

# All recorded wrong Migrations but the one that goes on without its namespace.
REFUSED = (
    "e1-nopair",
    "e2-foreign",
    "e4-missing-strict",
    "e5-rule",
    "e6-two-transforms",
    "e7-no-transform",
    "e8-storage-not-ready",
    "e9-empty",
    "e10-no-ns",
)


@pytest.fixture(scope="module")
def wrong(clusters: Mapping[str, ClusterHandle], store: RunningS3) -> Mapping[str, ClusterHandle]:
    """The recorded wrong Migrations beside a good and a bad pair."""
    dev, prod = clusters["dev"], clusters["prod"]
    hand.pair(clusters, store, name="pxpair")
    bad = hand.pair_document("badpair", "cms", prod, ip=hand.load_balancer(prod), port="notaport", token="x")
    hand.create(dev, "clusterpairs", bad)
    hand.until(lambda: hand.statuses(dev, "cms", "badpair") == ("Error", "Ready"))
    for each in replaying.documents("errs.yaml"):
        hand.create(dev, "migrations", each)
    return clusters


@pytest.mark.parametrize("name", REFUSED)
def test_recorded_refusals(wrong: Mapping[str, ClusterHandle], name: str) -> None:
    dev = wrong["dev"]
    document = next(each for each in replaying.documents("errs.yaml") if each["metadata"]["name"] == name)
    namespace = document["metadata"]["namespace"]
    then = _recorded(name)
    hand.until(lambda: hand.events(dev, name, namespace))
    for kind, reason, _, message in then:
        # How often it was said depends on how long one waited.
        assert (kind, reason, message) in {(each[0], each[1], each[3]) for each in hand.events(dev, name, namespace)}
    status = hand.get(dev, "migrations", namespace, name)["status"]
    if name == "e8-storage-not-ready":
        assert (status["stage"], status["status"]) == ("Volumes", "Pending")
    elif name == "e4-missing-strict":
        assert (status["stage"], status["status"]) == ("Final", "Failed")
    else:
        assert (status["stage"], status["status"]) == ("", "")


def _recorded(name: str) -> list[tuple[str, str, int, str]]:
    header, *lines = (replaying.RECORDINGS / "errors-events.txt").read_text().splitlines()
    starts = [match.start() for match in re.finditer(r"\S", header)]
    found = []
    for line in lines:
        ends = [*starts[1:], len(line)]
        kind, reason, about, count, message = (line[start:end].strip() for start, end in zip(starts, ends, strict=True))
        if about == name:
            found.append((kind, reason, int(count), message))
    return found


def test_skipped_namespace(wrong: Mapping[str, ClusterHandle]) -> None:
    told = {(each[0], each[1], each[3]) for each in _recorded("e3-missing-skip")}
    # A race of the recorded Stork with itself over two versions of the object.
    wanted = {each for each in told if "the object has been modified" not in each[2]}

    def look() -> bool:
        found = {(each[0], each[1], each[3]) for each in hand.events(wrong["dev"], "e3-missing-skip", "kube-system")}
        return wanted <= found

    assert len(wanted) == 2
    hand.until(look)


def _refused(dev: ClusterHandle, document: hand.Object) -> str:
    """The storage's refusal of a pair."""
    name = document["metadata"]["name"]
    hand.create(dev, "clusterpairs", document)
    hand.until(lambda: hand.statuses(dev, "cms", name) == ("Error", "Ready"))
    return next(text for kind, _, _, text in hand.events(dev, name) if kind == "Warning")


def test_pairs_that_are_refused(wrong: Mapping[str, ClusterHandle], store: RunningS3) -> None:
    dev, prod = wrong["dev"], wrong["prod"]
    address, token = hand.load_balancer(prod), hand.pxctl(prod, "cluster", "token", "show")[0].split()[-1]
    uuid = hand.uuid_of(prod)
    assert "invalid port (notaport) specified for cluster pair: " in next(
        text for kind, _, _, text in hand.events(dev, "badpair") if kind == "Warning"
    )
    wrong_token = hand.pair_document("wrong-token", "cms", prod, ip=address, token="0" * 128)
    assert "Token authentication failed" in _refused(dev, wrong_token)
    nowhere = hand.pair_document("nowhere", "cms", prod, ip="nobody.example.com", token=token)
    assert _refused(dev, nowhere).endswith("dial tcp: lookup nobody.example.com: no such host")
    closed = hand.pair_document("closed", "cms", prod, ip=address, port="9002", token=token)
    assert _refused(dev, closed).endswith("connect: connection refused")
    # The credentials under another name: the UUID is that of the source.
    name = f"clusterPair_{uuid}"
    hand.pxctl(dev, "credentials", "delete", name)
    hand.add_credentials(dev, store, f"clusterPair_{hand.uuid_of(dev)}")
    misnamed = hand.pair_document("misnamed", "cms", prod, ip=address, token=token)
    assert f"credential {name} not found in local cluster" in _refused(dev, misnamed)
    hand.add_credentials(dev, store, name, secret="not the secret")
    assert "SignatureDoesNotMatch" in hand.pxctl(dev, "credentials", "validate", name)[1]
    keys = hand.pair_document("bad-keys", "cms", prod, ip=address, token=token)
    assert "SignatureDoesNotMatch" in _refused(dev, keys)
    # Once the credentials are right, the same pair becomes ready by itself.
    hand.pxctl(dev, "credentials", "delete", name)
    hand.add_credentials(dev, store, name)
    hand.until(lambda: hand.statuses(dev, "cms", "bad-keys") == ("Ready", "Ready"))


def test_scheduler_that_nobody_answers_for(wrong: Mapping[str, ClusterHandle]) -> None:
    document = hand.pair_document("badkube", "cms", wrong["prod"])
    next(iter(document["spec"]["config"]["clusters"].values()))["server"] = "https://127.0.0.1:1"
    hand.create(wrong["dev"], "clusterpairs", document)
    hand.until(lambda: hand.statuses(wrong["dev"], "cms", "badkube") == ("NotProvided", "Error"))
    told = {(each[0], each[1], each[3]) for each in hand.events(wrong["dev"], "badkube")}
    assert told == {
        ("Normal", "NotProvided", "Skipping storage pairing since no storage options provided"),
        ("Warning", "Error", 'Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: connection refused'),
    }


def test_volume_that_does_not_arrive(wrong: Mapping[str, ClusterHandle], store: RunningS3) -> None:
    """The keys are taken away after the pairing: the volumes fail, and nothing is applied."""
    dev, prod = wrong["dev"], wrong["prod"]
    name = f"clusterPair_{hand.uuid_of(prod)}"
    hand.pxctl(dev, "credentials", "delete", name)
    hand.add_credentials(dev, store, name, secret="not the secret")
    over = hand.migrate(dev, "keys-gone", clusterPair="pxpair", namespaces=["cms"])
    assert (over["status"]["stage"], over["status"]["status"]) == ("Final", "Failed")
    assert over["status"]["resources"] is None
    for each in over["status"]["volumes"]:
        assert each["status"] == "Failed"
        assert each["reason"].startswith("Migration Backup failed for volume: ")
        text = f"Error migrating volume {each['volume']}: {each['reason']}"
        assert ("Warning", "Failed", 1, text) in hand.events(dev, "keys-gone")
    hand.pxctl(dev, "credentials", "delete", name)
    hand.add_credentials(dev, store, name)


def test_rules(wrong: Mapping[str, ClusterHandle]) -> None:
    """A rule that fails is tried for ever; one that succeeds lets the migration go on."""
    dev = wrong["dev"]

    def rule(name: str, command: str) -> None:
        action = {"type": "command", "value": command}
        body = {"apiVersion": f"{hand.STORK}/v1alpha1", "kind": "Rule", "metadata": {"name": name, "namespace": "cms"}}
        hand.create(dev, "rules", {**body, "rules": [{"podSelector": {"app": "mysql"}, "actions": [action]}]})

    def ready() -> bool:
        found = dev.call(lambda api: api.list("pods", "cms", {"app": "mysql"}))
        return any(each.get("ready") for pod in found for each in pod["status"].get("containerStatuses", ()))

    hand.until(ready)
    rule("fails", "exit 3")
    rule("flush", "mysqladmin ping")
    document = hand.migration_document("r1", clusterPair="pxpair", namespaces=["cms"], preExecRule="fails")
    hand.create(dev, "migrations", document)

    def told() -> bool:
        return any(
            text.startswith("Error running PreExecRule: failed to run command: exit 3 on pod: [cms/mysql-")
            and text.endswith("command terminated with exit code 3")
            for *_, text in hand.events(dev, "r1")
        )

    hand.until(told)
    assert hand.get(dev, "migrations", "cms", "r1")["status"]["volumes"] is None
    dev.call(lambda api: api.delete(f"migrations.{hand.STORK}", "cms", "r1"))
    over = hand.migrate(
        dev, "r2", clusterPair="pxpair", namespaces=["cms"], preExecRule="flush", includeResources=False
    )
    assert over["status"]["status"] == "Successful", over["status"]
