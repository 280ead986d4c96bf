"""Whatever goes wrong under /api/, the answer is a problem that says what, where, and what to do."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client
from rest_framework.throttling import BaseThrottle

from clusters import cluster_services
from clusters.api import ClusterViewSet
from tests.api.conftest import Caller
from tests.factories import Company

pytestmark = pytest.mark.django_db


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem in the answer, which has to be well-formed."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


def test_without_a_token(world: Company) -> None:
    answer = Caller({}).get("/clusters/")
    assert "credentials" in problem(answer, 401)["detail"]
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer kmw_unknown", "Bearer kmw_ünknown"])
def test_with_a_token_that_is_none(world: Company, header: str) -> None:
    answer = Caller({"Authorization": header}).get("/clusters/")
    assert "token" in problem(answer, 401)["detail"].lower()


def test_where_nothing_is(world: Company, alice: Caller) -> None:
    for path in ("/nowhere/", "/clusters/nonsense/", "/clusters/6f1c3f7e-0c0d-4a3e-9d8e-3f3c1a1f2b10/"):
        assert problem(alice.get(path), 404)["detail"] == "There is nothing here, or nothing that you may see."


def test_a_page_that_the_list_does_not_have(world: Company, alice: Caller) -> None:
    problem(alice.get("/clusters/?page=99"), 404)


def test_another_verb(world: Company, alice: Caller) -> None:
    answer = alice.put("/clusters/", {})
    assert "PUT" in problem(answer, 405)["detail"]
    assert {"GET", "POST"} <= set(answer["Allow"].split(", "))


def test_a_client_that_wants_anything_but_json(world: Company, alice: Caller) -> None:
    problem(alice.call("GET", "/clusters/", Accept="text/csv"), 406)


def test_a_body_of_another_type(world: Company, alice: Caller) -> None:
    answer = Client().post("/api/v1/clusters/", {"name": "dev"}, headers=alice.headers)
    assert "multipart/form-data" in problem(answer, 415)["detail"]


def test_a_body_that_is_no_json(world: Company, alice: Caller) -> None:
    path = "/api/v1/clusters/"
    answer = Client().post(path, b'{"name": ', content_type="application/json", headers=alice.headers)
    assert "JSON" in problem(answer, 400)["detail"]


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_a_body_that_is_json_but_no_object(world: Company, alice: Caller, body: Any) -> None:
    path = "/api/v1/clusters/"
    answer = Client().post(path, json.dumps(body), content_type="application/json", headers=alice.headers)
    assert problem(answer, 400)["errors"]


def test_a_body_that_is_too_large(world: Company, alice: Caller, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    problem(alice.post("/clusters/", {"name": "x" * 200}), 400)


def test_a_host_that_is_not_served(world: Company, alice: Caller) -> None:
    problem(alice.call("GET", "/clusters/", Host="elsewhere.example.com"), 400)


def test_fields_that_are_wrong_are_pointed_at(world: Company, alice: Caller) -> None:
    body = {"pair": str(world.pair.pk), "namespaces": ["cms", ["shop"]], "storage_class_mapping": {"a/b": None}}
    errors = problem(alice.post("/migrations/", body), 400)["errors"]
    assert {error["pointer"] for error in errors} == {"/namespaces/1", "/storage_class_mapping/a~1b"}
    assert all(error["detail"] for error in errors)


def test_what_a_service_refuses_is_said_in_its_words(world: Company, alice: Caller) -> None:
    found = problem(alice.patch(f"/clusters/{world.source.pk}/", {"name": "prod"}), 409)
    assert found["errors"] == [{"pointer": "/name", "detail": "The team already has a cluster named prod."}]
    assert found["detail"] == "The team already has a cluster named prod."


def test_the_language_is_the_callers(world: Company, alice: Caller) -> None:
    english = problem(alice.call("PUT", "/clusters/", {}), 405)
    chinese = problem(alice.call("PUT", "/clusters/", {}, **{"Accept-Language": "zh-hans"}), 405)
    assert english["detail"] != chinese["detail"]


class Never(BaseThrottle):
    """Lets nothing through for another 17 seconds."""

    def allow_request(self, request: Any, view: Any) -> bool:
        return False

    def wait(self) -> float:
        return 17


def test_too_many_requests(world: Company, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClusterViewSet, "throttle_classes", [Never])
    answer = alice.get("/clusters/")
    assert "17" in problem(answer, 429)["detail"]
    assert answer["Retry-After"] == "17"


def test_a_fault_of_ours_says_where_to_look_and_nothing_of_itself(
    world: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, alice: Caller
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the secret is sesame")

    monkeypatch.setattr(cluster_services, "check", broken)
    client = Client(raise_request_exception=False)
    headers = {**alice.headers, "X-Request-ID": "one-two-three"}
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = client.post(f"/api/v1/clusters/{world.source.pk}/check/", headers=headers)
    found = problem(answer, 500)
    assert found["request_id"] == "one-two-three"
    assert "sesame" not in answer.content.decode()
    assert any(record.exc_info for record in caplog.records)


def test_a_fault_on_a_page_stays_a_page(world: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("clusters.views.access.visible", broken)
    client = Client(raise_request_exception=False)
    client.force_login(world.alice)
    answer = client.get("/clusters/")
    assert answer.status_code == 500
    assert answer["Content-Type"].startswith("text/html")


def test_every_operation_of_the_description_says_how_its_errors_look(db: None) -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert len(operations) > 40
    assert all(each["responses"]["default"] == {"$ref": "#/components/responses/Problem"} for each in operations)
    described = schema["components"]["schemas"]["Problem"]["properties"]
    refused = problem(Caller({}).get("/clusters/"), 401)
    assert refused.keys() <= described.keys()
