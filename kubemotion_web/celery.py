"""The Celery application: short reconcile tasks, and the sweep that beat starts every second."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubemotion_web.settings")

app = Celery("kubemotion_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
