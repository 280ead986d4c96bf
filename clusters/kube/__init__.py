"""One Kubernetes API: connect, discover, list, apply, watch, logs, exec, port-forward. No Django, no models.

kubeconfig.py   what is accepted, and what is refused with an explanation
client.py       TLS and the connection pool
requests.py     calls with time limits, safe retries and plain dicts; discovery.py knows what is served
objects.py      read, list, apply, delete, and what we may do
stopping.py     reads that end when they are no longer wanted
watches.py      list, then watch, for as long as one likes
streams.py      logs, exec and port-forward
connection.py   all of it, as methods of one cluster's Connection
checks.py       what is fine about a cluster and what is not
errors.py       what can go wrong, with messages for people
"""
