"""`python -m demo.clusters --state DIR --cluster dev=PORT …`: simulated clusters over HTTPS until SIGTERM.

Prints one JSON line once every cluster serves (and, with `--estate`, once its estate is planted):
`{"ready": true, "clusters": {"dev": {"server": "https://127.0.0.1:PORT", "kubeconfig": "…"}}}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
from collections.abc import Sequence
from pathlib import Path

from demo import estate, portworx
from demo.cluster.api import ClusterAPI
from demo.cluster.server import ClusterServer
from demo.portworx import classes


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.clusters", description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, required=True, help="folder that holds everything of the clusters")
    parser.add_argument(
        "--cluster",
        action="append",
        required=True,
        metavar="NAME=PORT",
        help="a cluster and its port on 127.0.0.1, 0 for any free one; may be given several times",
    )
    parser.add_argument(
        "--estate", type=float, metavar="MEGABYTES", help="plant the estate of the story, with so many files"
    )
    parser.add_argument("--no-nodes", action="store_true", help="without scheduler and kubelets")
    return parser.parse_args()


async def plant(apis: Sequence[ClusterAPI], megabytes: float) -> None:
    """The estate of the story in each cluster, with Portworx and Stork, unless it is there; on the clusters' loop."""
    for api in apis:
        # What is named after a region, as load balancers are, needs nodes to know it from.
        estate.plant_site(api, api.name)
        portworx.install(api, api.name)
    for api in apis:
        classes_of_claims = classes.BLOCK_CLASS, classes.SHARED_CLASS
        await estate.plant(api, api.name, megabytes=megabytes, claim_classes=classes_of_claims)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    state: Path = options.state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    servers = []
    for each in options.cluster:
        name, _equals, port = each.partition("=")
        servers.append(ClusterServer(name, state / name, port=int(port or 0), nodes=not options.no_nodes))
    try:
        for server in servers:
            await server.start()
        if options.estate is not None:
            await plant([server.api for server in servers], options.estate)
        clusters = {
            server.name: {"server": server.address, "kubeconfig": str(server.write_kubeconfigs(state))}
            for server in servers
        }
        print(json.dumps({"ready": True, "clusters": clusters}), flush=True)
        await stopping.wait()
    finally:
        for server in servers:
            await portworx.stop(server.api)
            await server.stop()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    asyncio.run(serve(arguments()))


if __name__ == "__main__":
    main()
