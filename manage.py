#!/usr/bin/env python
"""Django's command line for Kubemotion Web."""

import os
import sys


def main() -> None:
    if sys.version_info < (3, 12):  # noqa: UP036 - whoever runs it with an older one shall read why it fails
        sys.exit(f"Kubemotion Web needs Python 3.12 or newer; this is {sys.version.split()[0]}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubemotion_web.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
