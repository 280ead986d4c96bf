"""One cluster's objects: read, listed page by page, written, deleted; and what our permissions there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clusters.kube import errors
from clusters.kube.discovery import Resource
from clusters.kube.requests import ApiConnection

FIELD_MANAGER = "kubemotion-web"
# For whoever asks not for the whole object. A server that cannot leave the rest out answers with all of it.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
# The quoted text of one warning: code, agent, text.
WARNING_TEXT = re.compile(r'\b\d{3} \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Applied:
    """What came of a server-side apply: the object, whether it was not there before, and what the server warns of."""

    obj: dict[str, Any]
    created: bool
    warnings: tuple[str, ...] = ()


class ObjectsConnection(ApiConnection):
    """Objects as plain dicts, by verb."""

    def get(self, resource: Resource | str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object. Raises NotFound."""
        found = self.resource(resource)
        return self.json(
            "GET", found.path(namespace, name), repeatable=True, what=f"read {found.plural} {_at(namespace, name)}"
        )

    def list(
        self,
        resource: Resource | str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Iterator[dict[str, Any]]:
        """Every object, page by page, each with its apiVersion and kind.

        Where a continue token has run out (410), all is read anew in one piece, which cannot expire; objects that were
        already given are not given again.
        """
        found = self.resource(resource)
        query = _query(limit=page_size, labelSelector=label_selector, fieldSelector=field_selector)
        what = f"list {found.plural}{f' in {namespace}' if namespace else ''}"
        given: set[str] = set()
        following = ""
        while True:
            try:
                page = self.json(
                    "GET",
                    found.path(namespace),
                    query={**query, "continue": following} if following else query,
                    repeatable=True,
                    what=what,
                )
            except errors.Expired:
                if not following:
                    raise
                following = ""
                query.pop("limit", None)
                continue
            for item in page.get("items") or []:
                uid = item["metadata"].get("uid", "")
                if uid and uid in given:
                    continue
                given.add(uid)
                yield {"apiVersion": found.api_version, "kind": found.kind, **item}
            following = page.get("metadata", {}).get("continue") or ""
            if not following:
                return

    def create(
        self, resource: Resource | str, obj: dict[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create the object. Raises AlreadyExists."""
        found = self.resource(resource)
        namespace = namespace or obj["metadata"].get("namespace")
        name = obj["metadata"].get("name", "")
        query = _query(fieldManager=FIELD_MANAGER, dryRun="All" if dry_run else "")
        return self.json(
            "POST", found.path(namespace), query=query, body=obj, what=f"create {found.plural} {_at(namespace, name)}"
        )

    def apply(self, obj: dict[str, Any], *, force: bool = False, dry_run: bool = False) -> dict[str, Any]:
        """The object after `apply_told`."""
        return self.apply_told(obj, force=force, dry_run=dry_run).obj

    def apply_told(
        self, obj: dict[str, Any], *, force: bool = False, dry_run: bool = False, whole: bool = True
    ) -> Applied:
        """Server-side apply under our field manager. Raises Conflict, whose `causes` name the fields and managers.

        With `metadata.uid` only that very object is changed, and nothing is created. Unless `whole`, no more than the
        metadata of what comes of it is asked for.
        """
        found = self.resource_of(obj)
        metadata = obj["metadata"]
        query = _query(fieldManager=FIELD_MANAGER, force="true" if force else "", dryRun="All" if dry_run else "")
        answer = self.request(
            "PATCH",
            found.path(metadata.get("namespace"), metadata["name"]),
            query=query,
            body=obj,
            content_type="application/apply-patch+yaml",
            accept="application/json" if whole else METADATA,
            repeatable=True,
            what=f"apply {found.plural} {_at(metadata.get('namespace'), metadata['name'])}",
        )
        return Applied(self.decoded(answer), answer.status == 201, tuple(_warnings(answer.headers.getlist("Warning"))))

    def replace(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Put the object in the place of the one that is there. Raises Conflict where its resourceVersion is stale."""
        found = self.resource_of(obj)
        metadata = obj["metadata"]
        return self.json(
            "PUT",
            found.path(metadata.get("namespace"), metadata["name"]),
            query=_query(fieldManager=FIELD_MANAGER),
            body=obj,
            what=f"restore {found.plural} {_at(metadata.get('namespace'), metadata['name'])}",
        )

    def patch(
        self,
        resource: Resource | str,
        name: str,
        namespace: str | None,
        body: Any,
        *,
        content_type: str = "application/merge-patch+json",
        subresource: str | None = None,
    ) -> dict[str, Any]:
        """Patch the object or its subresource."""
        found = self.resource(resource)
        return self.json(
            "PATCH",
            found.path(namespace, name, subresource),
            query=_query(fieldManager=FIELD_MANAGER),
            body=body,
            content_type=content_type,
            what=f"patch {found.plural} {_at(namespace, name)}",
        )

    def delete(
        self,
        resource: Resource | str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
    ) -> bool:
        """Delete the object; with `uid` only that very one. False where it is absent or another one has its name."""
        found = self.resource(resource)
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self.request(
                "DELETE",
                found.path(namespace, name),
                body=body,
                repeatable=uid is not None,
                what=f"delete {found.plural} {_at(namespace, name)}",
            )
        except errors.NotFound:
            return False
        except errors.Conflict:
            if uid:
                return False
            raise
        return True

    # -- permissions

    def can_i(
        self, verb: str, resource: str, namespace: str | None = None, *, name: str = "", subresource: str = ""
    ) -> bool:
        """Whether RBAC lets us: a SelfSubjectAccessReview. `resource` as in `deployments.apps`."""
        plural, _dot, group = resource.partition(".")
        attributes = _query(
            verb=verb, resource=plural, group=group, namespace=namespace or "", name=name, subresource=subresource
        )
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.json("POST", path, body=review, repeatable=True, what="review our permissions")
        return bool(answer.get("status", {}).get("allowed"))

    def rules(self, namespace: str) -> Iterable[dict[str, Any]]:
        """What RBAC lets us do in the namespace: the resourceRules of a SelfSubjectRulesReview."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        answer = self.json("POST", path, body=review, repeatable=True, what="review our permissions")
        return answer.get("status", {}).get("resourceRules") or []


def _at(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _warnings(headers: Iterable[str]) -> Iterator[str]:
    """The texts of Warning headers: `299 - "text"`, any number of them in a line (RFC 7234, 5.5)."""
    for header in headers:
        for quoted in WARNING_TEXT.findall(header):
            yield re.sub(r"\\(.)", r"\1", quoted)


def _query(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}
