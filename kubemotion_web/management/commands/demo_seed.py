"""`manage.py demo_seed`: what the product knows at the demo's start. `manage.py demo` calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Reads where the estate answers (JSON, standard input), seeds, and prints {"token": …} for the demo's person."""

    help = "Seed the demo's person, team, clusters, object store and pair."

    def handle(self, *args: Any, **options: Any) -> None:
        from demo import seed

        given = json.load(sys.stdin)
        kubeconfigs = {name: Path(cluster["kubeconfig"]).read_text() for name, cluster in given["clusters"].items()}
        seed.seed(kubeconfigs, given["s3"])
        self.stdout.write(json.dumps({"token": seed.token()}))
