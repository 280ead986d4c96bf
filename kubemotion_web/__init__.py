"""The project: settings, URLs, processes and the API's router. It imports every application; none imports it."""

from kubemotion_web.celery import app as celery_app

__all__ = ["celery_app"]
