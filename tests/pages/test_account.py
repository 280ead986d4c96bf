"""The account page: tokens, password; and signing in and out."""

from __future__ import annotations

import re

from django.test import Client

from audit.models import Entry
from teams.models import ApiToken
from tests import factories


def test_a_token_is_shown_once_and_works(company: factories.Company, alice: Client) -> None:
    page = alice.post("/account/tokens/", {"name": "laptop", "days": "90"})
    assert page["Cache-Control"] == "no-store"
    found = re.search(r">(kmw_[\w-]+)<", page.content.decode())
    assert found is not None
    token = ApiToken.objects.get()
    assert token.digest == ApiToken.digest_of(found[1])
    assert token.user == company.alice
    assert token.expires_at is not None
    assert found[1] not in alice.get("/account/").content.decode()
    assert Entry.objects.get().action == "token.issue"
    assert found[1] not in str(Entry.objects.values().get())


def test_a_token_without_an_end_never_expires(alice: Client) -> None:
    alice.post("/account/tokens/", {"name": "laptop", "days": ""})
    assert ApiToken.objects.get().expires_at is None


def test_a_revoked_token_is_gone_and_stands_in_the_history(company: factories.Company, alice: Client) -> None:
    token, _text = ApiToken.issue(company.alice, "laptop")
    alice.post(f"/account/tokens/{token.pk}/revoke/")
    assert not ApiToken.objects.exists()
    assert Entry.objects.get().action == "token.revoke"


def test_the_password_changes_and_the_session_stays(company: factories.Company, alice: Client) -> None:
    new = "another-horse-battery"
    given = {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new}
    assert alice.post("/account/password/", given).status_code == 302
    assert alice.get("/account/").status_code == 200
    company.alice.refresh_from_db()
    assert company.alice.check_password(new)
    assert Entry.objects.get().action == "password.change"


def test_a_weak_password_is_refused_with_its_reason(alice: Client) -> None:
    given = {"old_password": factories.PASSWORD, "new_password1": "short", "new_password2": "short"}
    response = alice.post("/account/password/", given)
    assert response.status_code == 422
    assert "at least 10 characters" in response.content.decode()


def test_signing_in_leads_back_to_the_page_that_was_wanted(company: factories.Company, client: Client) -> None:
    wanted = f"/clusters/{company.source.pk}/"
    assert client.get(wanted)["Location"] == f"/login/?next={wanted}"
    given = {"username": "alice", "password": factories.PASSWORD, "next": wanted}
    assert client.post("/login/", given)["Location"] == wanted
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get(wanted).status_code == 302


def test_signing_in_leads_to_no_other_site(company: factories.Company, client: Client) -> None:
    given = {"username": "alice", "password": factories.PASSWORD, "next": "https://evil.example.com/"}
    assert client.post("/login/", given)["Location"] == "/"


def test_a_wrong_password_is_answered_in_words(company: factories.Company, client: Client) -> None:
    page = client.post("/login/", {"username": "alice", "password": "wrong"}).content.decode()
    assert "Please enter a correct username and password" in page
    assert 'role="alert"' in page
