"""YAML into and out of the API. What comes in is data and nothing else: no aliases, no tags, no key twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import yaml
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from migrations_app.plans.contents import to_yaml

MEDIA_TYPE = "application/yaml"  # RFC 9512


class _Loader(yaml.SafeLoader):
    """JSON's types only: a date stays a text. Aliases are refused, which can make a small text a large value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise yaml.MarkedYAMLError(problem="aliases are not taken", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem="keys are texts", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"{key} is there twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class YAMLParser(BaseParser):
    """One YAML document."""

    media_type = MEDIA_TYPE

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        text = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(text) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError(
                _("YAML of at most %(most)s bytes is taken.") % {"most": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
            )
        try:
            return yaml.load(text.decode(), Loader=_Loader)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ParseError(_("This cannot be read as YAML: %(error)s") % {"error": error}) from None


class YAMLRenderer(BaseRenderer):
    """One YAML document; problems stay JSON, as their content type says."""

    media_type = MEDIA_TYPE
    format = "yaml"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        response: Any = (renderer_context or {}).get("response")
        if response is not None and response.exception:
            return json.dumps(data).encode()
        return to_yaml(dict(data) if isinstance(data, Mapping) else data).encode()
