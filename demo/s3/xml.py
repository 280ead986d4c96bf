"""S3's answers as XML, and reading what clients send."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from demo.s3.errors import S3Error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def document(name: str, content: object, *, namespace: str = NAMESPACE) -> bytes:
    """An XML document of nested dictionaries and lists; a list repeats its element."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{attribute}>{_inside(content)}</{name}>'.encode()


def _inside(content: object) -> str:
    if isinstance(content, dict):
        return "".join(
            f"<{name}>{_inside(each)}</{name}>"
            for name, value in content.items()
            for each in (value if isinstance(value, list) else [value])
            if each is not None
        )
    if isinstance(content, bool):
        return str(content).lower()
    return escape(str(content), {"\r": "&#13;"})


def timestamp(seconds: float) -> str:
    """A time as S3 writes it in XML."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def parse(body: bytes) -> ElementTree.Element:
    """The root of what a client sent, its namespace taken off; raises MalformedXML."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise S3Error("MalformedXML")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise S3Error("MalformedXML") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
