"""Checks of clusters, against clusters that really answer."""

from __future__ import annotations

import base64
import copy
import http.server
import json
import threading
from typing import Any

import pytest
import yaml

from audit.actor import Actor
from clusters import cluster_services
from clusters.kube import checks
from clusters.kube.kubeconfig import parse
from clusters.models import Health
from teams.models import Team
from teams.refusals import Refusal


def check(config: dict[str, Any]) -> checks.Report:
    report = checks.check_cluster(parse(yaml.safe_dump(config)))
    assert [each.code for each in report.checks] == list(checks.CODES)
    return report


def failure(report: checks.Report) -> checks.Check:
    failed = [each for each in report.checks if each.status == "failure"]
    assert len(failed) == 1, report.checks
    assert failed[0].remedy
    later = report.checks[report.checks.index(failed[0]) + 1 :]
    assert {each.status for each in later} <= {"skipped"}
    return failed[0]


def changed(config: dict[str, Any], *, cluster: Any = None, user: Any = None) -> dict[str, Any]:
    config = copy.deepcopy(config)
    config["clusters"][0]["cluster"].update(cluster or {})
    if user is not None:
        config["users"][0]["user"] = user
    return config


def test_a_good_cluster_passes_and_tells_its_version_distribution_and_classes(clusters: Any) -> None:
    report = check(clusters["dev"].kubeconfig)
    assert {each.status for each in report.checks} == {"ok"}, report.checks
    assert report.version.startswith("v1.")
    assert report.distribution == "OpenShift"
    default = next(row for row in report.storage_classes if row["default"])
    facts = {"name", "provisioner", "default", "binding_mode", "reclaim_policy", "expandable", "claims"}
    assert default.keys() == facts
    assert {row["name"]: row["claims"] for row in report.storage_classes} == {"gp3": 1, "efs-rwx": 1, "gp3-retain": 0}
    assert report.identity


def test_a_ca_that_did_not_sign_the_server_fails_tls(clusters: Any) -> None:
    other = clusters["prod"].kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]
    report = check(changed(clusters["dev"].kubeconfig, cluster={"certificate-authority-data": other}))
    assert failure(report).code == "tls"
    assert report.checks[0].status == "ok"


def test_a_wrong_token_fails_authentication(clusters: Any) -> None:
    report = check(changed(clusters["dev"].kubeconfig, user={"token": "sesame-token"}))
    assert failure(report).code == "authentication"
    assert "sesame" not in repr(report)


def test_a_server_that_is_not_kubernetes_is_told_apart(clusters: Any) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"https://127.0.0.1:{server.server_port}"
            report = check(changed(clusters["dev"].kubeconfig, cluster={"server": address}))
        finally:
            server.shutdown()
    assert failure(report).code in {"reachable", "tls"}


def service_account(clusters: Any, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """A kubeconfig of an account that may do what the rules say in all namespaces."""
    from clusters.kube.connection import Connection

    config = clusters["dev"].kubeconfig
    name = f"kubemotion-{abs(hash(json.dumps(rules))) % 10**8}"
    with Connection(parse(yaml.safe_dump(config))) as connection:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
        connection.create("serviceaccounts", account)
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        connection.create("clusterroles.rbac.authorization.k8s.io", role | {"rules": rules})
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        }
        connection.create("clusterrolebindings.rbac.authorization.k8s.io", binding)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
        path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
        token = connection.json("POST", path, body=request)["status"]["token"]
    return changed(config, user={"token": token})


def test_an_account_that_may_only_read_lacks_rights_of_both_sides_and_the_remedy_names_them(clusters: Any) -> None:
    reading = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    report = check(service_account(clusters, reading))
    found = {each.code: each for each in report.checks}
    assert found["permissions-source"].status == "warning"
    assert "create, patch, delete jobs.batch" in found["permissions-source"].remedy
    assert "create, patch, delete persistentvolumeclaims" in found["permissions-destination"].remedy
    assert found["nodes"].status == "ok"


def test_an_account_that_may_do_nothing_gets_warnings_and_no_error(clusters: Any) -> None:
    report = check(service_account(clusters, []))
    found = {each.code: each for each in report.checks}
    assert found["authentication"].status == "ok"
    assert found["storage-classes"].status == "warning"
    assert found["nodes"].status == "warning"
    assert report.storage_classes == []
    assert report.identity == ""


@pytest.mark.parametrize("base64_text", [base64.b64encode(b"nonsense").decode()])
@pytest.mark.django_db
def test_a_certificate_that_is_none_is_refused(clusters: Any, team: Team, by: Actor, base64_text: str) -> None:
    config = changed(clusters["dev"].kubeconfig, cluster={"certificate-authority-data": base64_text})
    with pytest.raises(Refusal):
        cluster_services.add(team, name="dev", kubeconfig=yaml.safe_dump(config), by=by)


@pytest.mark.django_db
def test_an_added_cluster_keeps_what_its_checks_learned_even_when_it_is_out_of_reach_later(
    clusters: Any, team: Team, by: Actor
) -> None:
    text = yaml.safe_dump(clusters["dev"].kubeconfig)
    cluster = cluster_services.add(team, name="dev", kubeconfig=text, by=by)
    assert (cluster.health, cluster.distribution) == (Health.HEALTHY, "OpenShift")
    assert "default" in cluster_services.namespaces_of(cluster)
    clusters["dev"].faults.stopped = True
    try:
        cluster_services.check(cluster, by=by)
        with pytest.raises(Refusal):
            cluster_services.namespaces_of(cluster)
    finally:
        clusters["dev"].faults.stopped = False
    cluster.refresh_from_db()
    assert cluster.health == Health.FAILING
    assert cluster.distribution == "OpenShift"
    assert cluster.storage_classes
