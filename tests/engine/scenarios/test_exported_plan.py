"""A plan that was exported and applied by the real kubectl gives what a migration would have made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from migrations_app.plans import export
from migrations_app.plans.models import PlanStatus
from migrations_app.resources.collect import collect
from migrations_app.resources.marks import key_of
from migrations_app.resources.spec import Selection, Spec
from tests.engine.conftest import eventually
from tests.engine.scenarios.conftest import Scenario
from tests.engine.scenarios.test_operator import CACHES, OPERATOR, plant
from tests.engine.scenarios.test_stork_recording import without_marks
from tests.engine.test_plans import computed, made
from tests.portworx_estate.replaying import changes
from tests.resources.objects import Object

NAMESPACES = ("cms", OPERATOR)
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
Key = tuple[str, str, str, str]


def exported(scenario: Scenario, folder: Path) -> Path:
    """The folder of a plan for both applications, with their Secrets, as a person unpacks it."""
    plan = computed(made(scenario.estate, namespaces=list(NAMESPACES), include_volumes=False))
    assert plan.status == PlanStatus.READY, plan.reason
    with export.archive(plan, secrets=True, by=scenario.estate.by) as file, tarfile.open(fileobj=file) as tar:
        tar.extractall(folder, filter="data")
    return folder / export.folder_name(plan)


def commands(readme: str) -> list[str]:
    """The ways to apply the folder that its page gives, each a line for a shell."""
    return re.findall(r"^    (.*kubectl apply .*)$", readme, flags=re.MULTILINE)


def run(command: str, folder: Path, scenario: Scenario) -> None:
    config = str(scenario.estate.prod.kubeconfig_path)
    # kubectl keeps what it discovers below its home.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "KUBECONFIG": config}
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def there(scenario: Scenario) -> dict[Key, Object]:
    """Everything of the applications on prod, without what servers and controllers say of it."""
    collected = collect(scenario.prod, Spec(namespaces=NAMESPACES, selection=Selection()))
    assert not collected.skipped, collected.skipped
    claims = [
        {**each, "kind": "PersistentVolumeClaim", "apiVersion": "v1"}
        for namespace in NAMESPACES
        for each in scenario.prod.list("persistentvolumeclaims", namespace)
    ]
    found = {key_of(obj): without_marks(obj) for obj in [*collected.objects, *claims]}
    for obj in found.values():
        if obj["kind"] == "PersistentVolumeClaim":
            # Which volume a class's driver makes, and where the first consumer was placed, is their own affair.
            obj["spec"].pop("volumeName", None)
            obj["metadata"].get("annotations", {}).pop("volume.kubernetes.io/selected-node", None)
    return found


def clear(scenario: Scenario) -> None:
    """Nothing of the applications is left on prod."""
    for namespace in NAMESPACES:
        scenario.prod.delete("namespaces", namespace)
    for resource, name in reversed(scenario.cluster_scoped):
        scenario.prod.delete(resource, name)
    gone = {*NAMESPACES, CACHES}

    def is_clear() -> bool:
        left = [*scenario.prod.list("namespaces"), *scenario.prod.list(DEFINITIONS)]
        return not gone & {each["metadata"]["name"] for each in left}

    eventually(is_clear)


def differences(one: Mapping[Key, Object], other: Mapping[Key, Object]) -> list[str]:
    return [line for key in one.keys() & other.keys() for line in changes(one[key], other[key], str(key))]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_kubectl_makes_of_the_exported_folder_what_a_migration_makes(scenario: Scenario, tmp_path: Path) -> None:
    plant(scenario)
    folder = exported(scenario, tmp_path)
    in_order, at_once = commands((folder / "README.txt").read_text())

    run(in_order, folder, scenario)
    by_kubectl = there(scenario)
    # Applied once more, as somebody does who is not sure that all went through, nothing is refused nor changed.
    run(at_once, folder, scenario)
    assert differences(by_kubectl, there(scenario)) == []
    clear(scenario)

    scenario.migrate(*NAMESPACES, name="both", include_volumes=False)
    by_migration = there(scenario)
    assert by_kubectl.keys() == by_migration.keys()
    assert {key[1] for key in by_kubectl} >= {
        "Cache", "ClusterRoleBinding", "ConfigMap", "CustomResourceDefinition", "Deployment", "PersistentVolumeClaim",
        "Route", "Secret", "Service", "ServiceAccount",
    }  # fmt: skip
    assert differences(by_kubectl, by_migration) == []
