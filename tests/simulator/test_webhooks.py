"""Admission webhooks are asked as an API server asks them, and their answers hold."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, Invalid, KubeError, WebhookFailed
from demo.cluster.server import running_clusters
from tests.kube.conftest import until
from tests.resources.objects import Object, make, workload
from tests.webhooks import Answer, Webhook, listening, patching, refusing

Configure = Callable[..., Webhook]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A cluster without nodes, with one namespace."""
    folder = tmp_path_factory.mktemp("clusters")
    with (
        running_clusters(folder, names=("dev",), nodes=False) as clusters,
        Connection(kubeconfig.parse(yaml.safe_dump(clusters["dev"].kubeconfig))) as opened,
    ):
        opened.create("namespaces", make("Namespace", "shop", metadata={"labels": {"tier": "gold"}}))
        yield opened


@pytest.fixture
def configure(connection: Connection, tmp_path: Path) -> Iterator[Configure]:
    """Make a webhook listen, and the cluster ask it; both end with the test."""
    made, open_ones = [], []

    def configure(kind: str, answer: Answer, *, hosts: tuple[str, ...] = (), **fields: Any) -> Webhook:
        listener = listening(tmp_path / str(len(made)), answer, *hosts)
        webhook = listener.__enter__()
        open_ones.append(listener)
        configuration = webhook.configuration(kind, f"policy-{len(made)}", **fields)
        connection.create(connection.resource_of(configuration), configuration)
        made.append(configuration)
        return webhook

    yield configure
    for each in made:
        connection.delete(connection.resource_of(each), each["metadata"]["name"])
    for each in open_ones:
        each.__exit__(None, None, None)
    for each in connection.list("configmaps", "shop"):
        connection.delete("configmaps", each["metadata"]["name"], "shop")


def config(name: str = "c", **labels: str) -> Object:
    return make("ConfigMap", name, metadata={"labels": labels}, data={"k": "v"})


def test_a_review_says_what_is_asked_and_by_whom(connection: Connection, configure: Configure) -> None:
    webhook = configure("Validating", lambda request: {})
    connection.apply(config(), dry_run=True)
    (request,) = webhook.asked
    assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (request["operation"], request["name"], request["namespace"]) == ("CREATE", "c", "shop")
    assert request["dryRun"] is True
    assert request["userInfo"]["username"] == "kubernetes-admin"
    assert "system:masters" in request["userInfo"]["groups"]
    assert request["object"]["data"] == {"k": "v"}
    assert request["oldObject"] is None
    connection.apply(config())
    assert webhook.asked[1]["dryRun"] is False
    assert webhook.asked[1]["uid"] != request["uid"]


def test_what_is_refused_is_refused_in_the_webhooks_words(connection: Connection, configure: Configure) -> None:
    configure("Validating", refusing("a cost centre is needed"))
    words = 'admission webhook "policy-0.example.com" denied the request: a cost centre is needed'
    with pytest.raises(Forbidden, match=words):
        connection.create("configmaps", config())
    with pytest.raises(Forbidden, match=words):
        connection.apply(config())
    assert list(connection.list("configmaps", "shop", label_selector="tier")) == []


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ({}, Invalid, "denied the request without explanation"),
        ({"reason": "Policy"}, Invalid, "denied the request: Policy"),
        ({"code": 200, "message": "no"}, Invalid, "denied the request: no"),
        ({"code": 422, "message": "no"}, Invalid, "denied the request: no"),
    ],
)
def test_what_little_a_webhook_says_is_said(
    connection: Connection, configure: Configure, status: Object, error: type[KubeError], words: str
) -> None:
    configure("Validating", lambda request: {"allowed": False, "status": status})
    with pytest.raises(error, match=words):
        connection.create("configmaps", config())


def test_a_patch_changes_what_is_stored_and_a_validating_webhook_sees_it(
    connection: Connection, configure: Configure
) -> None:
    team = {"op": "add", "path": "/metadata/labels/team", "value": "shop"}
    configure("Mutating", patching(team, warnings=["a team was added"]))
    judge = configure("Validating", lambda request: {})
    answer = connection.apply_told(config(tier="web"))
    assert answer.obj["metadata"]["labels"] == {"tier": "web", "team": "shop"}
    assert answer.warnings == ("a team was added",)
    assert judge.asked[0]["object"]["metadata"]["labels"]["team"] == "shop"
    (owned,) = answer.obj["metadata"]["managedFields"]
    assert "f:team" not in owned["fieldsV1"]["f:metadata"]["f:labels"]


def test_a_patched_object_is_given_defaults_and_validated_again(connection: Connection, configure: Configure) -> None:
    sidecar = {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "proxy", "image": "p:1"}}
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}
    webhook = configure("Mutating", patching(sidecar), rules=[rule])
    made = connection.apply(workload("Deployment", "web"), dry_run=True)
    assert made["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] == "IfNotPresent"
    webhook.answer = patching({"op": "remove", "path": "/spec/template/spec/containers/0/image"})
    with pytest.raises(Invalid, match=r"spec.template.spec.containers\[0\].image: Required value"):
        connection.apply(workload("Deployment", "web"), dry_run=True)


ELSEWHERE = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"namespaceSelector": {"matchLabels": {"tier": "gold"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, True),
        ({"namespaceSelector": ELSEWHERE}, False),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"objectSelector": {"matchLabels": {"app": "db"}}}, False),
        ({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}]}, True),
        ({"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["*/*"], "operations": ["CREATE"]}]}, True),
        ({"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["*"]}]}, False),
        ({"rules": [{"apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}]}, False),
        (
            {
                "rules": [
                    {
                        "apiGroups": ["*"],
                        "apiVersions": ["*"],
                        "resources": ["*"],
                        "operations": ["*"],
                        "scope": "Cluster",
                    }
                ]
            },
            False,
        ),
        (
            {
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["UPDATE"]}
                ]
            },
            False,
        ),
    ],
)
def test_only_what_rules_and_selectors_cover_is_asked_about(
    connection: Connection, configure: Configure, fields: Object, asked: bool
) -> None:
    webhook = configure("Validating", lambda request: {}, **fields)
    connection.apply(config(app="web"))
    assert bool(webhook.asked) == asked


def test_changes_and_deletions_are_asked_about_with_what_was_there(
    connection: Connection, configure: Configure
) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["UPDATE", "DELETE"]}
    connection.apply(config())
    webhook = configure("Validating", lambda request: {}, rules=[rule])
    connection.patch("configmaps", "c", "shop", {"data": {"k": "w"}})
    webhook.answer = refusing("it is still needed")
    with pytest.raises(Forbidden, match="it is still needed"):
        connection.delete("configmaps", "c", "shop")
    change, deletion = webhook.asked
    assert (change["oldObject"]["data"], change["object"]["data"]) == ({"k": "v"}, {"k": "w"})
    assert (deletion["operation"], deletion["object"]) == ("DELETE", None)
    webhook.answer = lambda request: {}


def test_a_webhook_behind_a_service_is_found_by_its_endpoints(connection: Connection, configure: Configure) -> None:
    service = {"namespace": "shop", "name": "judge", "path": "/review", "port": 8443}
    hosts = ("judge.shop.svc",)
    webhook = configure("Validating", refusing("no"), service=service, hosts=hosts)
    url = r'Post "https://judge.shop.svc:8443/review\?timeout=5s"'
    with pytest.raises(WebhookFailed, match=f'failed to call webhook: {url}: service "judge" not found'):
        connection.create("configmaps", config())
    spec = {"ports": [{"port": 8443, "targetPort": webhook.port}]}
    connection.create("services", make("Service", "judge", spec=spec))
    with pytest.raises(WebhookFailed, match='no endpoints available for service "judge"'):
        connection.create("configmaps", config())
    slice_ = make(
        "EndpointSlice",
        "judge",
        metadata={"labels": {"kubernetes.io/service-name": "judge"}},
        addressType="IPv4",
        endpoints=[{"addresses": ["127.0.0.1"]}],
        ports=[{"port": webhook.port}],
    )
    connection.create("endpointslices.discovery.k8s.io", slice_)
    with pytest.raises(Forbidden, match="denied the request: no"):
        connection.create("configmaps", config())
    connection.delete("services", "judge", "shop")


def test_who_cannot_be_trusted_is_not_asked(connection: Connection, configure: Configure) -> None:
    webhook = configure("Validating", lambda request: {})
    other = base64.b64encode(connection.kubeconfig.ca_data.encode()).decode()
    change = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": other}]
    connection.patch(
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "policy-0",
        None,
        change,
        content_type="application/json-patch+json",
    )
    with pytest.raises(WebhookFailed, match="x509: certificate signed by unknown authority"):
        connection.create("configmaps", config())
    assert webhook.asked == []


def test_who_does_not_answer_in_time_keeps_objects_out_unless_that_may_be_ignored(
    connection: Connection, configure: Configure
) -> None:
    over = threading.Event()

    def silent(request: Object) -> Object:
        over.wait(20)
        return {}

    configure("Validating", silent, timeoutSeconds=1)
    with pytest.raises(WebhookFailed, match=r'failed calling webhook "policy-0.example.com".*deadline exceeded'):
        connection.create("configmaps", config())
    change = [{"op": "add", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    connection.patch(
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "policy-0",
        None,
        change,
        content_type="application/json-patch+json",
    )
    assert connection.create("configmaps", config())["metadata"]["uid"]
    over.set()


def test_one_with_side_effects_keeps_out_dry_runs_alone(connection: Connection, configure: Configure) -> None:
    webhook = configure("Validating", lambda request: {}, sideEffects="Some")
    with pytest.raises(Invalid, match=r'admission webhook "policy-0.example.com" does not support dry run'):
        connection.apply(config(), dry_run=True)
    assert webhook.asked == []
    connection.apply(config())
    assert len(webhook.asked) == 1


def test_nobody_is_locked_out_of_the_configurations(connection: Connection, configure: Configure) -> None:
    every = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
    webhook = configure("Validating", refusing("no"), rules=[every])
    with pytest.raises(Forbidden):
        connection.create("configmaps", config())
    webhook.asked.clear()
    connection.delete("validatingwebhookconfigurations.admissionregistration.k8s.io", "policy-0")
    assert webhook.asked == []
    connection.create("configmaps", config())


WIDGET = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": version,
                "served": True,
                "storage": version == "v1",
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
            for version in ("v1", "v1beta1")
        ],
    },
}


@pytest.fixture
def widgets(connection: Connection) -> Iterator[None]:
    """A kind that is served in two versions."""
    connection.create("customresourcedefinitions.apiextensions.k8s.io", WIDGET)
    until(lambda: connection.discovery(fresh=True).by_kind("example.com/v1beta1", "Widget") is not None)
    yield
    connection.delete("customresourcedefinitions.apiextensions.k8s.io", "widgets.example.com")
    until(lambda: connection.discovery(fresh=True).find("widgets.example.com") is None)


@pytest.mark.parametrize(("policy", "asked"), [(None, True), ("Equivalent", True), ("Exact", False)])
def test_a_rule_for_another_version_of_the_kind_is_meant_unless_it_is_to_be_exact(
    connection: Connection, configure: Configure, widgets: None, policy: str | None, asked: bool
) -> None:
    rule = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["widgets"], "operations": ["CREATE"]}
    label = {"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}
    chosen = {"matchPolicy": policy} if policy else {}
    webhook = configure("Mutating", patching(label), rules=[rule], **chosen)
    widget = make("Widget", "w", apiVersion="example.com/v1beta1", spec={})
    made = connection.apply(widget, dry_run=True)
    assert made["apiVersion"] == "example.com/v1beta1"
    assert (made["metadata"].get("labels") == {"seen": "yes"}) == asked
    assert bool(webhook.asked) == asked
    if asked:
        (request,) = webhook.asked
        assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v1", "v1beta1")
        assert request["object"]["apiVersion"] == "example.com/v1"


@pytest.mark.parametrize(
    ("conditions", "asked"),
    [
        (["object.metadata.name == 'c'"], True),
        (["request.operation == 'UPDATE'"], False),
        (["object.metadata.name == 'c'", "has(object.metadata.labels) && 'app' in object.metadata.labels"], True),
        (["!('system:masters' in request.userInfo.groups)"], False),
        # A condition without a value does not matter where another is false.
        (["object.spec.missing == 1", "request.namespace != 'shop'"], False),
    ],
)
def test_conditions_decide_whether_a_webhook_is_asked(
    connection: Connection, configure: Configure, conditions: list[str], asked: bool
) -> None:
    given = [{"name": f"c{index}", "expression": each} for index, each in enumerate(conditions)]
    webhook = configure("Validating", lambda request: {}, matchConditions=given)
    connection.apply(config(app="web"))
    assert bool(webhook.asked) == asked


def test_a_condition_without_a_value_refuses_unless_failures_are_ignored(
    connection: Connection, configure: Configure
) -> None:
    given = [{"name": "c", "expression": "object.data.missing == 'x'"}]
    configure("Validating", lambda request: {}, matchConditions=given)
    with pytest.raises(
        Forbidden, match=r"expression 'object.data.missing == .*' resulted in error: no such key: missing"
    ):
        connection.apply(config())
    change = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    name = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    connection.patch(name, "policy-0", None, change, content_type="application/json-patch+json")
    connection.apply(config())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"matchPolicy": "exact"}, 'webhooks[0].matchPolicy: Unsupported value: "exact"'),
        ({"reinvocationPolicy": "Always"}, 'webhooks[0].reinvocationPolicy: Unsupported value: "Always"'),
        (
            {"matchConditions": [{"name": "c", "expression": "subject.name == 'x'"}]},
            "webhooks[0].matchConditions[0].expression: Invalid value: \"subject.name == 'x'\": compilation failed: "
            "ERROR: <input>:1:1: undeclared reference to 'subject' (in container '')",
        ),
        (
            {"matchConditions": [{"name": "c", "expression": "request.name"}]},
            "must evaluate to bool but got string",
        ),
        (
            {"matchConditions": [{"name": "c", "expression": "true"}, {"name": "c", "expression": "true"}]},
            'webhooks[0].matchConditions[1].name: Duplicate value: "c"',
        ),
        ({"matchConditions": [{"expression": "true"}]}, "webhooks[0].matchConditions[0].name: Required value"),
    ],
)
def test_a_configuration_that_says_what_is_not_known_is_refused(
    connection: Connection, fields: Object, words: str
) -> None:
    webhook = Webhook(lambda request: {}, "").configuration("Mutating", "wrong", **fields)
    with pytest.raises(Invalid) as refused:
        connection.create(connection.resource_of(webhook), webhook)
    assert words in str(refused.value)


@pytest.mark.parametrize(("policy", "times"), [("IfNeeded", 2), ("Never", 1)])
def test_who_wants_it_is_asked_again_about_what_others_changed(
    connection: Connection, configure: Configure, policy: str, times: int
) -> None:
    first = configure("Mutating", lambda request: {}, reinvocationPolicy=policy)
    team = {"op": "add", "path": "/metadata/labels/team", "value": "shop"}
    second = configure("Mutating", patching(team))
    connection.apply(config(app="web"))
    assert (len(first.asked), len(second.asked)) == (times, 1)
    assert first.asked[-1]["object"]["metadata"]["labels"].get("team") == ("shop" if times == 2 else None)


def test_who_changed_last_is_not_asked_again(connection: Connection, configure: Configure) -> None:
    team = {"op": "add", "path": "/metadata/labels/team", "value": "shop"}
    only = configure("Mutating", patching(team), reinvocationPolicy="IfNeeded")
    connection.apply(config(app="web"))
    assert len(only.asked) == 1
