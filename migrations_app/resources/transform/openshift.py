"""OpenShift's own kinds."""

from __future__ import annotations

from migrations_app.resources.shapes import items, section
from migrations_app.resources.transform.metadata import HOST_GENERATED
from migrations_app.resources.transform.options import Object, Options


def route_host(obj: Object, options: Options, source: Object) -> None:
    """A host that the router made up lies in the source's domain; one that somebody chose is the application's."""
    if section(source, "metadata", "annotations").get(HOST_GENERATED) == "true":
        section(obj, "spec").pop("host", None)


def deployment_config(obj: Object, options: Options, source: Object) -> None:
    """The image that a trigger found last is one of the source's registry; the trigger looks again there."""
    for trigger in items(section(obj, "spec"), "triggers"):
        section(trigger, "imageChangeParams").pop("lastTriggeredImage", None)


def image_stream(obj: Object, options: Options, source: Object) -> None:
    """With its generation a tag counts as imported already; without it OpenShift imports it there."""
    for tag in items(section(obj, "spec"), "tags"):
        tag.pop("generation", None)


def build_config(obj: Object, options: Options, source: Object) -> None:
    """What triggered builds last was the source's."""
    for trigger in items(section(obj, "spec"), "triggers"):
        section(trigger, "imageChange").pop("lastTriggeredImageID", None)
