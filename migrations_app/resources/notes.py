"""What is worth knowing about objects that go along, and no fault of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clusters.texts import Text, said
from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.shapes import containers, items, pod_specs, section
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
# OpenShift's registry inside each cluster, under the names that it has had.
INTERNAL_REGISTRIES = ("image-registry.openshift-image-registry.svc:5000/", "docker-registry.default.svc:5000/")


@dataclass(frozen=True)
class Note:
    """One remark. The key is group, kind, namespace and name of the object; the text is a sentence about it."""

    key: tuple[str, str, str, str]
    text: Text


def about(objects: Iterable[Object], spec: Spec) -> list[Note]:
    """What there is to say about the objects, in their order."""
    return [Note(key_of(obj), text) for obj in objects for text in _texts(obj, spec)]


def _texts(obj: Object, spec: Spec) -> Iterator[Text]:
    match type_of(obj):
        case ("apiextensions.k8s.io", "CustomResourceDefinition"):
            yield from _of_definition(obj, spec)
        case ("image.openshift.io", "ImageStream"):
            yield from _of_image_stream(obj)
    for _at, pods in pod_specs(obj):
        found = {str(each.get("image")) for _place, each in containers(pods)}
        inside = sorted(image for image in found if image.startswith(INTERNAL_REGISTRIES))
        inside = [image for image in inside if not any(image.startswith(prefix) for prefix in spec.image_mapping)]
        if inside:
            yield (
                said(
                    "runs {images} from the registry inside the source cluster, whose images are not carried: push "
                    "them to the destination's, or map the registry to one that both clusters reach",
                    images=inside,
                )
            )


def _of_definition(obj: Object, spec: Spec) -> Iterator[Text]:
    versions = [each["name"] for each in items(section(obj, "spec"), "versions") if each.get("served")]
    if len(versions) < 2:
        return
    stored = next((each["name"] for each in items(section(obj, "spec"), "versions") if each.get("storage")), "")
    values = {"versions": versions, "stored": stored}
    if section(obj, "spec", "conversion").get("strategy") != "Webhook":
        yield said(
            "serves {versions} and stores {stored}, without conversion: only the apiVersion is changed", **values
        )
        return
    client = section(obj, "spec", "conversion", "webhook", "clientConfig")
    service = section(client, "service")
    at = f"{service.get('namespace')}/{service.get('name')}" if service else str(client.get("url"))
    if service.get("namespace") in spec.namespaces:
        yield said(
            "serves {versions} and stores {stored}; its objects are converted by the webhook at {at}, which goes along",
            **values,
            at=at,
        )
    else:
        yield said(
            "serves {versions} and stores {stored}; its objects are converted by the webhook at {at}, which must be "
            "there on the destination",
            **values,
            at=at,
        )


def _of_image_stream(obj: Object) -> Iterator[Text]:
    given = {each.get("name") for each in items(section(obj, "spec"), "tags") if each.get("from")}
    pushed = sorted(
        str(each.get("tag")) for each in items(section(obj, "status"), "tags") if each.get("tag") not in given
    )
    if pushed:
        yield (
            said(
                "has the tags {tags}, which were pushed or built; their images lie in the source's registry "
                "and are not carried",
                tags=pushed,
            )
        )
