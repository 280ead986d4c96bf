"""`python -I -S launch.py FILE COMMAND…`: run a program and write what it took to FILE as JSON.

A process begins with the resident memory of the one that started it as its peak, so that peaks are only true when a
small process starts the program.
"""

import json
import os
import sys
import time

began = time.monotonic()
child = os.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
seconds = time.monotonic() - began
with open(sys.argv[1], "w") as file:
    json.dump(
        {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}, file
    )
sys.exit(abs(os.waitstatus_to_exitcode(status)))
