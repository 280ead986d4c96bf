"""Every visible string of pages and services has a Chinese translation, with the same placeholders, compiled."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils.translation.template import templatize

from tests import factories

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / "locale/zh_Hans/LC_MESSAGES/django.mo"
APPLICATIONS = ("kubemotion_web", "audit", "teams", "clusters", "migrations_app")
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "pgettext_lazy", "said", "N_"}
# What Django makes of a template's texts before they are extracted.
IN_TEMPLATES = re.compile(r"""(?:gettext|_)\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")[,)]""")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")
HEADINGS = {
    "/": "概览",
    "/migrations/": "迁移",
    "/clusters/": "集群",
    "/object-stores/": "对象存储",
    "/pairs/": "集群配对",
    "/history/": "历史",
    "/teams/": "团队",
    "/clusters/add/": "添加集群",
    "/pairs/add/": "添加配对",
}


def translations() -> dict[str, str]:
    with COMPILED.open("rb") as compiled:
        catalog = gettext.GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
    return {(key[0] if isinstance(key, tuple) else key).split("\x04")[-1]: value for key, value in catalog.items()}


def in_code() -> Iterator[str]:
    yield ", "
    for application in APPLICATIONS:
        for path in (ROOT / application).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                given = [each.value for each in node.args if isinstance(each, ast.Constant)]
                if node.func.id in MARKERS:
                    yield from given[1:] if node.func.id == "pgettext_lazy" else given[:1]
                elif node.func.id == "counted" and path.name != "texts.py":
                    _n, singular, _plural = node.args
                    assert isinstance(singular, ast.Constant), f"{path}:{node.lineno}: not to be found for translation"
                    yield singular.value


def in_templates() -> Iterator[str]:
    for path in (ROOT / "templates").rglob("*.html"):
        for found in IN_TEMPLATES.finditer(templatize(path.read_text())):
            yield str(ast.literal_eval(found[1]))


def test_no_string_is_left_in_english() -> None:
    known = translations()
    wanted = {*in_code(), *in_templates()}
    assert len(wanted) > 300
    assert sorted(text for text in wanted if not known.get(text)) == []


def test_translations_have_the_same_placeholders() -> None:
    for original, translated in translations().items():
        if original:
            assert set(PLACEHOLDER.findall(original)) == set(PLACEHOLDER.findall(translated)), original


@pytest.mark.parametrize("path", HEADINGS)
def test_a_page_comes_in_chinese(path: str, company: factories.Company, alice: Client) -> None:
    page = alice.get(path, headers={"accept-language": "zh-CN,zh;q=0.9"}).content.decode()
    assert '<html lang="zh-hans"' in page
    heading = re.search(r"<h1[^>]*>([^<]+)</h1>", page)
    assert heading is not None
    assert heading[1] == HEADINGS[path]
