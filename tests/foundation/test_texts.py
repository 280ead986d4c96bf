"""Sentences of the parts that know no Django: English by themselves, in another language where they are shown."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import translation

from clusters.portworx.complaints import explained
from clusters.texts import NOTHING, Text, as_it_is, both, counted, either, listed, restored, said, sentences, stored
from clusters.translation import translated
from migrations_app.resources.preflight.facts import side_named
from migrations_app.resources.selection import BY_NAME
from tests import factories


class Side:
    def __str__(self) -> Text:
        return side_named("destination", "prod")


def refusal(count: int = 2) -> Text:
    return counted(
        count,
        "{objects} names no ingress class, and the {destination} has no default one (it has: {has}).",
        "{objects} name no ingress class, and the {destination} has no default one (it has: {has}).",
        objects=listed(f"Ingress cms/{number}" for number in range(count)),
        destination=Side(),
        has=said("none"),
    )


def test_a_text_is_english_to_whoever_knows_nothing_of_it() -> None:
    assert refusal(1) == (
        "Ingress cms/0 names no ingress class, and the destination cluster prod has no default one (it has: none)."
    )
    assert f"{refusal()} So?".startswith("Ingress cms/0, Ingress cms/1 name no ingress class")
    assert json.dumps({"reason": said("Wait until it is gone.")}) == '{"reason": "Wait until it is gone."}'


def test_it_is_said_in_the_readers_language_with_all_that_it_is_made_of() -> None:
    with translation.override("zh-hans"):
        assert translated(refusal()) == (
            "Ingress cms/0、Ingress cms/1 未指定 Ingress 类，而目标集群 prod 没有默认的 Ingress 类（现有：无）。"
        )
    with translation.override("en"):
        assert translated(refusal()) == refusal()


def test_what_is_no_text_and_what_is_not_translated_stay_as_they_are() -> None:
    with translation.override("zh-hans"):
        assert translated({"message": "Wait until it is gone.", "n": 1}) == {
            "message": "Wait until it is gone.",
            "n": 1,
        }
        assert translated(Text("Nobody has translated {what}.", what="this")) == "Nobody has translated this."
        assert translated(NOTHING) == ""


def test_lists_and_sentences_follow_the_language() -> None:
    parts = [
        (listed(["a", "b", "c"], 2), "a, b and 1 more", "a、b 等（另有 1 个）"),
        (listed(["a"]), "a", "a"),
        (either(["a", "b", "c"]), "a, b or c", "a、b 或 c"),
        (both(["a", "b"]), "a and b", "a 和 b"),
        (
            sentences(said("Check the spelling."), NOTHING, said("Wait until it is gone.")),
            "Check the spelling. Wait until it is gone.",
            "请检查拼写。请等到它消失。",
        ),
    ]
    assert [each[0] for each in parts] == [each[1] for each in parts]
    with translation.override("zh-hans"):
        assert [translated(each[0]) for each in parts] == [each[2] for each in parts]


@pytest.mark.parametrize("way", [lambda text: restored(json.loads(json.dumps(stored(text)))), copy.deepcopy])
def test_it_is_the_same_after_json_and_after_copying(way: Any) -> None:
    again = way({"checks": [{"message": refusal(), "command": "kubectl get {pods}"}]})
    assert again == {"checks": [{"message": refusal(), "command": "kubectl get {pods}"}]}
    with translation.override("zh-hans"):
        assert translated(again["checks"][0]["message"]) == translated(refusal())


def test_secrets_are_taken_out_of_what_fills_a_sentence() -> None:
    refused = said("pxctl {command} failed: {words}", command="status", words="token sesame is wrong.")
    whole = sentences(refused, said("Look at: {nodes}.", nodes=["a-sesame", "b"]))
    hidden = whole.with_names(lambda words: words.replace("sesame", "***"))
    assert hidden == "pxctl status failed: token *** is wrong. Look at: a-***, b."
    with translation.override("zh-hans"):
        assert translated(hidden) == "pxctl status 失败：token *** is wrong.请查看：a-***、b。"


def test_what_stork_complains_of_is_said_with_cause_and_remedy() -> None:
    complaint = str(explained("transformation t is not in ready state: Failed"))
    with translation.override("zh-hans"):
        assert str(translated(complaint)).startswith("ResourceTransformation t 不是 Ready，而是 Failed")
        assert "（Stork 的原话：transformation t is not in ready state: Failed）" in translated(complaint)


@pytest.mark.django_db
def test_a_column_of_text_keeps_what_a_sentence_is_made_of_and_can_be_searched() -> None:
    rows = factories.company().plan.objects_planned
    row = rows.first()
    assert row is not None
    for reason, chinese in (
        (BY_NAME, "已按名称排除"),
        (said("is left out with all {resource}", resource="secrets"), "已随所有 secrets 一并排除"),
        (as_it_is("what the server said"), "what the server said"),
        ("old text, {as it was}", "old text, {as it was}"),
    ):
        rows.filter(pk=row.pk).update(reason=reason)
        kept = rows.get(pk=row.pk).reason
        assert kept == reason
        assert rows.filter(pk=row.pk, reason__startswith=str(reason)[:12]).exists()
        with translation.override("zh-hans"):
            assert translated(kept) == chinese
    rows.filter(pk=row.pk).update(reason=BY_NAME)
    assert rows.filter(pk=row.pk, reason=BY_NAME).exists()


def test_names_with_braces_and_rows_of_other_things_are_left_alone() -> None:
    assert said("The {side} has no namespace {name}.", side="x", name="{name}") == "The x has no namespace {name}."
    row = {"said": "Stork's own words", "with": {}, "state": "ok"}
    assert restored(stored(row)) == row


def test_the_templates_are_found_by_who_extracts_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    (tmp_path / "locale").mkdir()
    (tmp_path / "checks.py").write_text('said("No {thing}.", thing=1)\ncounted(n, "{n} pod.", "{n} pods.")\n')
    monkeypatch.chdir(tmp_path)
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    call_command("makemessages", locale=["zh_Hans"], verbosity=0)
    found = (tmp_path / "locale/zh_Hans/LC_MESSAGES/django.po").read_text()
    assert 'msgid "No {thing}."' in found
    assert 'msgid "{n} pod."\nmsgid_plural "{n} pods."' in found
