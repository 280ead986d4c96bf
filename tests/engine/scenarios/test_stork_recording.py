"""What a real Stork made of some sixty objects, and what the native engine makes of them: the same, or better.

The recording's first migration: no volumes, applications stopped. Its source is planted on a simulated cluster,
migrated by the whole engine, and compared with the recorded destination object by object, field by field. Whatever
differs stands in DIFFERENCES with the reason; what stands there and does not differ fails the test as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.cluster.server import running_clusters
from demo.s3 import running_s3
from migrations_app.models import Migration
from tests.engine.conftest import Estate, made, told
from tests.portworx_estate import replaying

Object = dict[str, Any]
PREFIX = replaying.PREFIX


@pytest.fixture
def recorded(tmp_path: Any, transactional_db: None) -> Iterator[Estate]:
    with (
        running_s3(tmp_path / "s3") as s3,
        running_clusters(tmp_path / "clusters", nodes=False, extra=False) as clusters,
    ):
        clusters["dev"].call(replaying.plant)
        yield made(clusters["dev"], clusters["prod"], s3)


def test_it(recorded: Estate) -> None:
    recorded.on("prod").create("storageclasses.storage.k8s.io", {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "px-repl2"}, "provisioner": "pxd.portworx.com", "volumeBindingMode": "WaitForFirstConsumer"})
    recorded.change(recorded.pair, storage_class_mapping={})
    migration = recorded.start(include_volumes=False, start_applications=False)
    migration = recorded.drive(migration)
    print(told(migration))
    assert 0
