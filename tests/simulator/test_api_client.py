"""The official Python client against a simulated cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from demo.cluster.server import ClusterHandle, running_clusters

NAMESPACE = "default"


def connect(kubeconfig: dict[str, Any], *, retries: int | bool = False) -> client.ApiClient:
    settings = client.Configuration()
    settings.retries = retries
    config.load_kube_config_from_dict(kubeconfig, client_configuration=settings)
    return client.ApiClient(settings)


@pytest.fixture
def api(served: ClusterHandle) -> Iterator[client.ApiClient]:
    with connect(served.kubeconfig) as connection:
        yield connection
    served.faults.clear()


@pytest.fixture
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_object_is_created_read_changed_and_deleted(core: client.CoreV1Api) -> None:
    made = core.create_namespaced_config_map(NAMESPACE, config_map("crud", a="1"))
    assert made.metadata.uid
    assert core.read_namespaced_config_map("crud", NAMESPACE).data == {"a": "1"}
    core.patch_namespaced_config_map("crud", NAMESPACE, {"data": {"b": "2"}})
    made.data = {"a": "3"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("crud", NAMESPACE, made)
    assert stale.value.status == 409
    core.delete_namespaced_config_map("crud", NAMESPACE)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("crud", NAMESPACE)
    assert gone.value.status == 404


def test_a_watch_tells_what_happens_while_it_runs(core: client.CoreV1Api) -> None:
    version = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    seen: list[tuple[str, str]] = []
    ready = threading.Event()

    def follow() -> None:
        ready.set()
        for event in watch.Watch().stream(
            core.list_namespaced_config_map, NAMESPACE, resource_version=version, timeout_seconds=20
        ):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait(5)
    core.create_namespaced_config_map(NAMESPACE, config_map("watched"))
    core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"x": "y"}})
    core.delete_namespaced_config_map("watched", NAMESPACE)
    thread.join(15)
    assert seen == [("ADDED", "watched"), ("MODIFIED", "watched"), ("DELETED", "watched")]


def test_pages_show_the_state_of_the_first_one(core: client.CoreV1Api) -> None:
    for number in range(6):
        core.create_namespaced_config_map(
            NAMESPACE, {**config_map(f"page-{number}"), "metadata": {"name": f"page-{number}", "labels": {"page": "x"}}}
        )
    first = core.list_namespaced_config_map(NAMESPACE, label_selector="page=x", limit=2)
    core.delete_namespaced_config_map("page-3", NAMESPACE)
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "page-5a", "labels": {"page": "x"}}})
    names, token = [each.metadata.name for each in first.items], first.metadata._continue
    while token:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="page=x", limit=2, _continue=token)
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
    assert names == [f"page-{number}" for number in range(6)]


def test_server_side_apply_refuses_what_another_manages(api: client.ApiClient) -> None:
    dynamic = DynamicClient(api)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = config_map("applied", a="1")
    maps.server_side_apply(body=body, name="applied", namespace=NAMESPACE, field_manager="one")
    with pytest.raises(ApiException) as refused:
        maps.server_side_apply(
            body=config_map("applied", a="2"), name="applied", namespace=NAMESPACE, field_manager="two"
        )
    assert refused.value.status == 409
    assert 'conflict with \\"one\\": .data.a' in str(refused.value.body)
    forced = maps.server_side_apply(
        body=config_map("applied", a="2"),
        name="applied",
        namespace=NAMESPACE,
        field_manager="two",
        force_conflicts=True,
    )
    assert forced.data.to_dict() == {"a": "2"}


def test_a_token_may_only_what_its_role_allows(core: client.CoreV1Api, served: ClusterHandle) -> None:
    api = core.api_client
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "reader"}})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    access = client.RbacAuthorizationV1Api(api)
    access.create_namespaced_role(NAMESPACE, {"metadata": {"name": "reader"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    access.create_namespaced_role_binding(
        NAMESPACE, {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": role}
    )
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 600}}
    token = core.create_namespaced_service_account_token("reader", NAMESPACE, request).status.token
    limited = {**served.kubeconfig, "users": [{"name": "admin", "user": {"token": token}}]}
    with connect(limited) as connection:
        mine = client.CoreV1Api(connection)
        assert mine.list_namespaced_config_map(NAMESPACE).items
        for refused in (
            lambda: mine.list_namespaced_secret(NAMESPACE),
            lambda: mine.create_namespaced_config_map(NAMESPACE, config_map("no")),
            lambda: mine.list_namespaced_config_map("kube-system"),
        ):
            with pytest.raises(ApiException) as error:
                refused()
            assert error.value.status == 403
        core.delete_namespaced_service_account("reader", NAMESPACE)
        with pytest.raises(ApiException) as unknown:
            mine.list_namespaced_config_map(NAMESPACE)
        assert unknown.value.status == 401


def test_a_cluster_does_not_trust_another_ones_certificate(tmp_path: Path, served: ClusterHandle) -> None:
    with running_clusters(tmp_path, names=("other",), nodes=False) as clusters:
        stolen = {**served.kubeconfig, "users": clusters["other"].kubeconfig["users"]}
        with (
            connect(stolen) as connection,
            pytest.raises((urllib3.exceptions.HTTPError, ApiException)),
        ):
            client.CoreV1Api(connection).list_namespace()


def test_a_custom_resource_is_pruned_defaulted_and_validated(api: client.ApiClient) -> None:
    properties = {"size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "default": "fast"}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing"}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    client.ApiextensionsV1Api(api).create_custom_resource_definition(definition)
    custom = client.CustomObjectsApi(api)
    place = ("example.com", "v1", NAMESPACE, "things")
    head = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    made = custom.create_namespaced_custom_object(*place, {**head, "spec": {"size": 2, "unknown": True}})
    assert made["spec"] == {"size": 2, "mode": "fast"}
    with pytest.raises(ApiException) as refused:
        custom.patch_namespaced_custom_object(*place, "t", {"spec": {"size": 0}})
    assert refused.value.status == 422
    assert "greater than or equal to 1" in refused.value.body


def test_both_event_groups_show_the_same_events(api: client.ApiClient, served: ClusterHandle) -> None:
    involved = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": NAMESPACE, "uid": "u"}}
    served.call(lambda cluster: cluster.record_event(involved, "Normal", "Seen", "it was seen", component="tester"))
    old = [each for each in client.CoreV1Api(api).list_namespaced_event(NAMESPACE).items if each.reason == "Seen"]
    # The typed client refuses the null eventTime that a real server gives for such events as well.
    events = DynamicClient(api).resources.get(api_version="events.k8s.io/v1", kind="Event")
    new = [each for each in events.get(namespace=NAMESPACE).items if each.reason == "Seen"]
    assert [each.message for each in old] == [each.note for each in new] == ["it was seen"]
    assert new[0].regarding.name == "x"


def test_an_autoscaler_of_the_older_version_reads_as_the_newer_one(api: client.ApiClient) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 70}
    old = client.AutoscalingV1Api(api).create_namespaced_horizontal_pod_autoscaler(
        NAMESPACE, {"metadata": {"name": "h"}, "spec": spec}
    )
    assert old.spec.target_cpu_utilization_percentage == 70
    new = client.AutoscalingV2Api(api).read_namespaced_horizontal_pod_autoscaler("h", NAMESPACE)
    assert new.spec.metrics[0].resource.target.average_utilization == 70


def test_a_refused_request_can_be_had_as_often_as_wanted(core: client.CoreV1Api, served: ClusterHandle) -> None:
    served.faults.fail(r"/configmaps$", method="GET", status=429, times=2, retry_after=3)
    for _ in range(2):
        with pytest.raises(ApiException) as refused:
            core.list_namespaced_config_map(NAMESPACE)
        assert refused.value.status == 429
        assert refused.value.headers["Retry-After"] == "3"
    assert core.list_namespaced_config_map(NAMESPACE).items


def test_a_dropped_request_gets_no_answer(core: client.CoreV1Api, served: ClusterHandle) -> None:
    served.faults.drop(r"/configmaps/", times=1)
    with pytest.raises(urllib3.exceptions.HTTPError):
        core.read_namespaced_config_map("kube-root-ca.crt", NAMESPACE)
    assert core.read_namespaced_config_map("kube-root-ca.crt", NAMESPACE).data


def test_latency_delays_answers(core: client.CoreV1Api, served: ClusterHandle) -> None:
    served.faults.latency = 0.3
    began = time.monotonic()
    core.list_namespace()
    assert time.monotonic() - began >= 0.3


def test_a_stopped_cluster_cuts_watches_refuses_connections_and_comes_back(
    core: client.CoreV1Api, served: ClusterHandle
) -> None:
    ended = threading.Event()
    begun = threading.Event()

    def follow() -> None:
        try:
            for _event in watch.Watch().stream(core.list_namespaced_config_map, "kube-system", timeout_seconds=60):
                begun.set()
        except (urllib3.exceptions.HTTPError, ApiException, OSError):
            pass
        finally:
            ended.set()

    threading.Thread(target=follow, daemon=True).start()
    assert begun.wait(10)
    served.faults.stopped = True
    with pytest.raises(urllib3.exceptions.HTTPError):
        core.list_namespace()
    assert ended.wait(10)
    served.faults.stopped = False
    assert core.list_namespace().items


def test_everything_is_still_there_after_a_restart(tmp_path: Path) -> None:
    with running_clusters(tmp_path, names=("dev",), nodes=False) as clusters:
        server, before = clusters["dev"].server, clusters["dev"].kubeconfig["users"]
        with connect(clusters["dev"].kubeconfig) as connection:
            kept = client.CoreV1Api(connection).create_namespaced_config_map(NAMESPACE, config_map("kept", a="1"))
    assert server
    with running_clusters(tmp_path, names=("dev",), nodes=False) as clusters:
        assert clusters["dev"].kubeconfig["users"] == before
        with connect(clusters["dev"].kubeconfig) as connection:
            found = client.CoreV1Api(connection).read_namespaced_config_map("kept", NAMESPACE)
            assert (found.metadata.uid, found.data) == (kept.metadata.uid, {"a": "1"})
            changed = client.CoreV1Api(connection).patch_namespaced_config_map("kept", NAMESPACE, {"data": {"b": "2"}})
            assert int(changed.metadata.resource_version) > int(kept.metadata.resource_version)
