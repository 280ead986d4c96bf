"""`manage.py create_token`: the first token, for whoever can run commands on the server."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from teams.models import ApiToken
from tests.factories import person

pytestmark = pytest.mark.django_db


def create_token(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_it_can_have_an_end() -> None:
    person("alice")
    create_token("alice", "nightly", "--days", "30")
    made = ApiToken.objects.get()
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).days in {29, 30}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody", "nightly"), "Nobody signs in as nobody."),
        (("alice", " "), "A token needs a name"),
        (("alice", "nightly", "--days", "0"), "at least one day"),
    ],
)
def test_it_says_why_not(arguments: tuple[Any, ...], says: str) -> None:
    person("alice")
    with pytest.raises(CommandError, match=says):
        create_token(*arguments)
    assert not ApiToken.objects.exists()
