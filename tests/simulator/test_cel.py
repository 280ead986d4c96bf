"""The Common Expression Language of conditions: values, types and refusals as cel-go has them."""

from __future__ import annotations

from typing import Any

import pytest

from demo.cluster import cel

KNOWN = {"object": "dyn", "request": cel.REQUEST}
POD = {
    "metadata": {"name": "web-1", "labels": {"app": "web"}, "annotations": {}},
    "spec": {"replicas": 3, "containers": [{"name": "app", "image": "a:1"}, {"name": "proxy", "image": "p:1"}]},
}
REQUEST = {"operation": "CREATE", "dryRun": True, "userInfo": {"username": "alice", "groups": ["dev", "ops"]}}


def value(text: str) -> Any:
    return cel.compiled(text, KNOWN).evaluate({"object": POD, "request": REQUEST})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("-7 / 2 == -3 && -7 % 2 == -1", True),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("1 < 2 ? 'a' : 'b'", "a"),
        ("'it\\'s' + \" so\"", "it's so"),
        (r"r'a\d' == 'a\\d'", True),
        ("request.operation in ['CREATE', 'UPDATE']", True),
        ("'ops' in request.userInfo.groups", True),
        ("'app' in object.metadata.labels", True),
        ("object.metadata.labels['app'] == 'web'", True),
        ("has(object.metadata.labels) && !has(object.status)", True),
        ("size(object.spec.containers) == 2 && object.spec.containers.size() == 2", True),
        ("object.spec.containers.all(c, c.image.endsWith(':1'))", True),
        ("object.spec.containers.exists(c, c.name.startsWith('pro'))", True),
        ("object.spec.containers.exists_one(c, c.name == 'app')", True),
        ("object.spec.containers.filter(c, c.name != 'app').map(c, c.image)", ["p:1"]),
        ("object.metadata.labels.exists(k, k == 'app')", True),
        ("object.metadata.name.matches('^web-[0-9]+$')", True),
        ("object.metadata.?labels.?tier.orValue('none')", "none"),
        ("object.metadata.?labels[?'app'].hasValue()", True),
        ("object.metadata.name.split('-')[1] == string(1)", True),
        # An error on one side passes where the other decides.
        ("object.missing == 1 || true", True),
        ("object.missing == 1 && false", False),
        ("[1, 2].exists(n, n / 0 == 1 || n == 2)", True),
        ("request.dryRun // in a trial\n && true", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("object.missing == 1", "no such key: missing"),
        ("object.spec.containers[7].name == ''", "index out of bounds: 7"),
        ("object.spec.replicas < 'a'", "no such overload"),
        ("object.spec.replicas && true", "no such overload"),
        ("1 / 0 == 1", "division by zero"),
        ("object.metadata.name.matches('(')", "error parsing regexp"),
    ],
)
def test_what_has_no_value(text: str, message: str) -> None:
    with pytest.raises(cel.EvaluationError, match=message):
        value(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Syntax error: mismatched input '<EOF>'"),
        ("1 +", "ERROR: <input>:1:4: Syntax error"),
        ("a == 1", "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')"),
        ("request.foo == 1", "undefined field 'foo'"),
        ("request.kind.plural == ''", "undefined field 'plural'"),
        ("object.name.reverse()", "undeclared reference to 'reverse'"),
        ("authorizer.group('').check('get').allowed()", "undeclared reference to 'authorizer'"),
        ("has(object)", "invalid argument to has() macro"),
        ("[1].all(1, true)", "argument of all() must be a simple name"),
        ("'open", "token recognition error at: '''"),
        ("1 == 1 )", "mismatched input ')'"),
        ("object.", "mismatched input '<EOF>'"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(cel.CompileError) as error:
        cel.compiled(text, KNOWN)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("true", "bool"),
        ("1 + 1", "int"),
        ("request.dryRun", "bool"),
        ("request.userInfo.groups", "list(string)"),
        ("object.spec.paused", "dyn"),
        ("object.x == 1 ? true : false", "bool"),
        ("[1].map(n, n > 1)", "list(bool)"),
        ("request.kind", "object"),
    ],
)
def test_types(text: str, type_: str) -> None:
    assert cel.compiled(text, KNOWN).type == type_
