"""How fast objects move from one cluster to another, beside kubectl: same objects, same simulated servers, one run.

    python benchmarks/objects.py --json benchmarks/results/objects.json

Ours collects, transforms, tries every object on the destination (which gives the plan with its differences), and
applies. kubectl gets and applies: `kubectl get -o yaml | kubectl apply --server-side -f -`. What `get` prints cannot be
applied as it is (uid and resourceVersion are of the source): a small script takes out what only a server may set, and
its time is not counted. Every cluster and every client is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import applications
from benchmarks.support.cluster import Cluster, cluster
from benchmarks.support.measured import Usage, run
from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.kube.errors import NotFound

Result = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
NAMESPACES = 10
KINDS = (
    "configmaps,secrets,serviceaccounts,roles,rolebindings,services,deployments,statefulsets,cronjobs,"
    "networkpolicies,ingresses,horizontalpodautoscalers,poddisruptionbudgets"
)
OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result is kept")
    parser.add_argument("--count", type=int, default=5000, help="how many objects")
    parser.add_argument("--no-kubectl", action="store_true", help="ours alone")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="ours under cProfile, whose result goes there")
    parser.add_argument("--client", nargs=2, type=Path, metavar=("SOURCE", "DESTINATION"), help=argparse.SUPPRESS)
    return parser.parse_args()


def connected(path: Path) -> Connection:
    return Connection(kubeconfig.parse(path.read_text()))


def plant(source: Cluster, count: int) -> None:
    """The objects onto the source, as somebody created them."""
    with connected(source.kubeconfig) as connection, ThreadPoolExecutor(8) as pool:
        everything = list(applications.objects(count, NAMESPACES))
        for namespace in everything[:NAMESPACES]:
            connection.create("namespaces", namespace)
        list(pool.map(lambda obj: connection.create(connection.resource_of(obj), obj), everything[NAMESPACES:]))


# -- ours, as a process of its own


def client(source: Path, destination: Path) -> Result:
    """Collect, transform, try, apply: seconds of each, and how many objects came to what."""
    from collections import Counter

    from migrations_app.resources.apply import apply
    from migrations_app.resources.collect import collect
    from migrations_app.resources.dry_run import dry_run
    from migrations_app.resources.owners import Owners
    from migrations_app.resources.spec import ConflictPolicy, Spec
    from migrations_app.resources.transform import Options, transformed

    spec = Spec(namespaces=tuple(f"bench-{number}" for number in range(NAMESPACES)))
    phases: dict[str, float] = {}
    began = time.monotonic()

    def done(phase: str) -> None:
        phases[phase] = round(time.monotonic() - began - sum(phases.values()), 2)

    if source == Path(os.devnull):
        return {}
    with connected(source) as there, connected(destination) as here:
        collected = collect(there, spec)
        done("collect")
        options = Options("benchmark", source="source", spec=spec)
        pairs = [(obj, transformed(obj, options)) for obj in collected.objects]
        wanted = [obj for _source, obj in pairs]
        owners = Owners(pairs)
        del pairs, collected
        done("transform")
        # The namespaces are there before, so that the destination can try every object in its place.
        for name in spec.namespaces:
            here.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        planned: Counter[str] = Counter()
        dry_run(
            here,
            wanted,
            migration_id="benchmark",
            policy=ConflictPolicy.REFUSE,
            on_planned=lambda each: planned.update([each.action]),
        )
        done("diff")
        applied: Counter[str] = Counter()
        apply(
            here,
            wanted,
            migration_id="benchmark",
            on_result=lambda each: applied.update([each.action]),
            owners=owners,
        )
        done("apply")
    return {"phases": phases, "planned": planned, "applied": applied}


def ours(options: argparse.Namespace, source: Cluster, destination: Cluster, folder: Path) -> Result:
    log = folder / "ours.log"
    profile = ["-m", "cProfile", "-o", str(options.profile)] if options.profile else []
    me = [str(Path(__file__).resolve()), "--client", str(source.kubeconfig), str(destination.kubeconfig)]
    counted(source, destination)
    # As an installed program: what Python compiles of its modules is kept, and made before the clock runs.
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    run([sys.executable, str(Path(__file__).resolve()), "--client", os.devnull, os.devnull], log, environment, cwd=ROOT)
    used = run([sys.executable, *profile, *me], log, environment, cwd=ROOT)
    requests = counted(source, destination)
    result: Result = json.loads(log.read_text().splitlines()[-1])
    expected = {"create": options.count}, {"created": options.count}
    if (result["planned"], result["applied"]) != expected:
        raise SystemExit(f"not everything was carried: {result}")
    return {**shown(used), "requests": requests, "phases": result["phases"]}


def counted(*clusters: Cluster) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in clusters:
        for method, count in each.requests().items():
            found[method] = found.get(method, 0) + count
    return found


def shown(used: Usage) -> Result:
    return {"seconds": round(used.seconds, 2), "cpu_s": round(used.cpu_seconds, 2), "peak_mib": round(used.peak_mib, 1)}


# -- kubectl


def kubectl(options: argparse.Namespace, source: Cluster, destination: Cluster, folder: Path) -> Result:
    """Get, strip, apply; the objects of all namespaces in one pipe, as somebody in a hurry would."""
    got, ready = folder / "got.yaml", folder / "ready.json"
    environment = {"KUBECACHEDIR": str(folder / "cache"), "HOME": str(folder)}
    names = [f"bench-{number}" for number in range(NAMESPACES)]
    loop = "; ".join(f"kubectl get {KINDS} -n {name} -o yaml; echo ---" for name in names)
    counted(source, destination)
    get = run(
        ["sh", "-c", f"({loop}) > {got}"], folder / "get.log", {**environment, "KUBECONFIG": str(source.kubeconfig)}
    )
    ready.write_text(json.dumps(stripped(got, names)))
    command = ["kubectl", "apply", "--server-side", "-f", str(ready)]
    log = folder / "apply.log"
    apply = run(command, log, {**environment, "KUBECONFIG": str(destination.kubeconfig)})
    lines = sum(1 for line in log.read_text().splitlines() if line.endswith("serverside-applied"))
    if lines != options.count + NAMESPACES:
        raise SystemExit(f"kubectl applied {lines} of {options.count} objects: {log.read_text()[-800:]}")
    return {
        "seconds": round(get.seconds + apply.seconds, 2),
        "cpu_s": round(get.cpu_seconds + apply.cpu_seconds, 2),
        "peak_mib": round(max(get.peak_mib, apply.peak_mib), 1),
        "requests": counted(source, destination),
        "phases": {"get": round(get.seconds, 2), "apply": round(apply.seconds, 2)},
    }


def stripped(got: Path, names: list[str]) -> Result:
    """One list of what can be applied, the namespaces first, and without what every namespace has by itself."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    items: list[Result] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
    for document in yaml.load_all(got.read_text(), Loader=loader):
        for obj in (document or {}).get("items") or ():
            if not obj["metadata"]["name"].startswith("app-") or obj.get("type", "").startswith("kubernetes.io/"):
                continue
            for field in OF_THE_SERVER:
                obj["metadata"].pop(field, None)
            obj.pop("status", None)
            if obj["kind"] == "Service":
                obj["spec"] = {k: v for k, v in obj["spec"].items() if k not in ("clusterIP", "clusterIPs")}
            items.append(obj)
    return {"apiVersion": "v1", "kind": "List", "items": items}


def verify(options: argparse.Namespace, destination: Cluster) -> None:
    """Every object is there."""
    with connected(destination.kubeconfig) as connection:
        for obj in applications.objects(options.count, NAMESPACES):
            metadata = obj["metadata"]
            try:
                connection.get(connection.resource_of(obj), metadata["name"], metadata.get("namespace"))
            except NotFound:
                raise SystemExit(f"{obj['kind']} {metadata['name']} is not there") from None


def main() -> None:
    options = arguments()
    if options.client:
        print(json.dumps(client(*options.client)))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="objects-")))
        source, mine, theirs = (
            stack.enter_context(cluster(folder / name, name)) for name in ("source", "ours", "kubectl")
        )
        plant(source, options.count)
        found = ours(options, source, mine, folder)
        verify(options, mine)
        beside = None if options.no_kubectl else kubectl(options, source, theirs, folder)
    result: Result = {
        "objects": options.count,
        "seconds": found["seconds"],
        "objects_per_s": round(options.count / found["seconds"], 1),
        "peak_mib": found["peak_mib"],
        "requests": sum(found["requests"].values()),
        "phases": found["phases"],
        "ours": found,
        "kubectl": beside,
        "ratio_kubectl": round(beside["seconds"] / found["seconds"], 2) if beside else None,
        # kubectl tries nothing beforehand: the same work is all of ours but the trial.
        "ratio_kubectl_same_work": same_work(found, beside) if beside else None,
        "machine": {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))},
    }
    table(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def same_work(found: Result, beside: Result) -> float:
    """How many times as fast ours is without the trial of every object."""
    return round(float(beside["seconds"] / (found["seconds"] - found["phases"]["diff"])), 2)


def table(result: Result) -> None:
    print(f"{result['objects']} objects of 13 kinds in {NAMESPACES} namespaces")
    print(f"{'':10}{'seconds':>9}{'objects/s':>11}{'requests':>10}{'peak MiB':>10}{'CPU s':>8}  phases")
    for name in ("ours", "kubectl"):
        row = result[name]
        if row is None:
            continue
        rate = result["objects"] / row["seconds"]
        phases = ", ".join(f"{phase} {seconds}" for phase, seconds in row["phases"].items())
        requests = sum(row["requests"].values())
        print(f"{name:10}{row['seconds']:9}{rate:11.1f}{requests:10}{row['peak_mib']:10}{row['cpu_s']:8}  {phases}")
    if result["ratio_kubectl"]:
        print(f"kubectl's time over ours: {result['ratio_kubectl']} with the trial of every object beforehand,")
        print(f"which kubectl does not do; {result['ratio_kubectl_same_work']} without it")


if __name__ == "__main__":
    main()
