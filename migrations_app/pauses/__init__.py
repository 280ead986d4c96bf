"""Pause: a migration under way stands still for as long as somebody wants, and then goes on where it was.

    fields.py     what the row of a migration knows of its pauses
    times.py      how long it was paused, which no wait and no rate counts
    ending.py     the end of a pause, whoever brings it about
    services.py   may it be paused; pause; resume; what a manifest says of it
    api.py        how the API shows it, and its two addresses

Paused is no status: a migration that is paused is Pending or InProgress as before. Workers do what is to be done
(`engines.Pauses`): they end what runs in the clusters, and then look no more until somebody resumes or cancels.
"""
