"""A simulated Kubernetes cluster that the unmodified clients talk to over HTTPS.

    server.py, http.py     listening, connections, faults
    handlers.py            from a request to an answer; verbs/ does what is asked, watching.py streams changes
    api.py                 the same without HTTP, for controllers
    writes.py              what happens to a written object; validation, defaults, admission, ownership beside it
    store.py               objects, versions and history, in memory and in SQLite
    controllers/           what a controller manager, a scheduler and drivers do
    kubelet/               pods: those of the mover run for real

What it has to answer is pinned by recordings of a real API server in `tests/conformance`.
"""
