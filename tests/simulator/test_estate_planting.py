"""What the embedded estate begins with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from demo import estate
from demo.cluster.server import running_clusters
from demo.estate.files import fill_database, fill_site
from demo.trees import differences


def test_the_application_stands_on_dev_and_nothing_of_it_on_prod(tmp_path: Path) -> None:
    with running_clusters(tmp_path) as clusters:
        for name, cluster in clusters.items():
            estate.plant_running(cluster, name, megabytes=2)
        dev, prod = clusters["dev"], clusters["prod"]
        for each, region in ((dev, "us-east-2"), (prod, "us-west-2")):
            nodes = each.call(lambda api: api.list("nodes"))
            assert {node["metadata"]["labels"]["topology.kubernetes.io/region"] for node in nodes} == {region}
            assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}) == 3
            classes = each.call(lambda api: api.list("storageclasses.storage.k8s.io"))
            modes = {one["volumeBindingMode"] for one in classes}
            assert modes == {"Immediate", "WaitForFirstConsumer"}
        names = [
            {one["metadata"]["name"] for one in each.call(lambda api: api.list("storageclasses.storage.k8s.io"))}
            for each in (dev, prod)
        ]
        assert not names[0] & names[1]
        assert [one["metadata"]["name"] for one in dev.call(lambda api: api.list("routes.route.openshift.io"))] == [
            "wp"
        ]
        claims = dev.call(lambda api: api.list("persistentvolumeclaims", "cms"))
        assert {one["metadata"]["name"]: one["spec"]["accessModes"] for one in claims} == {
            "px-mysql-pvc": ["ReadWriteOnce"],
            "px-wp-pvc": ["ReadWriteMany"],
        }
        assert prod.call(lambda api: [one["metadata"]["name"] for one in api.list("namespaces")]) == [
            "default",
            "kube-node-lease",
            "kube-public",
            "kube-system",
        ]
        assert prod.call(lambda api: api.list("persistentvolumeclaims")) == []


def test_a_second_start_finds_what_people_did_meanwhile(tmp_path: Path) -> None:
    with running_clusters(tmp_path, names=("dev",)) as clusters:
        estate.plant_running(clusters["dev"], "dev", megabytes=2)
        clusters["dev"].call(lambda api: api.delete("routes.route.openshift.io", "cms", "wp"))
        changed = clusters["dev"].volume_path("cms", "px-wp-pvc") / "index.php"
        changed.write_text("changed")
    with running_clusters(tmp_path, names=("dev",)) as clusters:
        estate.plant_running(clusters["dev"], "dev", megabytes=2)
        assert clusters["dev"].call(lambda api: api.list("routes.route.openshift.io")) == []
        assert changed.read_text() == "changed"


def test_two_estates_of_one_size_are_equal(tmp_path: Path) -> None:
    for fill in (fill_database, fill_site):
        folders = [tmp_path / f"{fill.__name__}-{number}" for number in range(2)]
        for folder in folders:
            folder.mkdir()
            fill(folder, 3)
        assert differences(*folders) == []


def test_the_size_is_about_what_was_asked_for(tmp_path: Path) -> None:
    for megabytes in (5, 20):
        folder = tmp_path / str(megabytes)
        folder.mkdir()
        fill_site(folder, megabytes)
        used = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / (1 << 20)
        assert megabytes * 0.8 < used < megabytes * 1.4


def test_the_files_have_what_makes_copying_hard(tmp_path: Path) -> None:
    fill_site(tmp_path, 3)
    entries = list(os.walk(os.fsencode(tmp_path)))
    paths = [os.path.join(folder, name) for folder, names, files in entries for name in [*names, *files]]
    stats = {path: os.lstat(path) for path in paths}
    assert any(os.path.islink(path) and not os.path.exists(path) for path in paths)
    assert any(each.st_nlink > 1 and stat.S_ISREG(each.st_mode) for each in stats.values())
    assert any(each.st_mode & stat.S_ISGID for each in stats.values())
    assert any(each.st_blocks * 512 < each.st_size for each in stats.values())
    assert any(b"\n" in os.path.basename(path) for path in paths)
    assert any(each.st_mtime_ns % 10**9 for each in stats.values())

    def is_text(path: bytes) -> bool:
        try:
            path.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert not all(is_text(path) for path in paths)
