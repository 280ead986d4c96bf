"""All settings, driven by environment variables (docs/settings.md lists them). The embedded defaults need none.

Embedded means: SQLite, an in-process broker and channel layer, keys generated into the state folder. Giving
`DATABASE_URL` and `REDIS_URL` turns the same code into the production layout.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

STATE_DIR = Path(env.str("KUBEMOTION_STATE_DIR", default=str(BASE_DIR / ".state"))).absolute()


def kept_in_state(name: str, make: str) -> str:
    """The content of a private file in the state folder, which is written on first use."""
    path = STATE_DIR / name
    if not path.exists():
        STATE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = STATE_DIR / f".{name}.{os.getpid()}"
        mine.touch(mode=0o600)
        mine.write_text(make)
        # Processes that start together must agree: the first link wins, and nobody reads a half-written file.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
        mine.unlink()
    return path.read_text().strip()


DEBUG = env.bool("KUBEMOTION_DEBUG", default=False)
SECRET_KEY = env.str("KUBEMOTION_SECRET_KEY", default="") or kept_in_state("secret_key", secrets.token_urlsafe(50))
# Fernet keys, newest first: the first encrypts, all decrypt. `manage.py rotate_secrets` re-encrypts with the first.
ENCRYPTION_KEYS = env.list("KUBEMOTION_ENCRYPTION_KEYS", default=[]) or [
    kept_in_state("encryption_key", Fernet.generate_key().decode())
]
ALLOWED_HOSTS = env.list("KUBEMOTION_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("KUBEMOTION_TRUSTED_ORIGINS", default=[])
HTTPS_ONLY = env.bool("KUBEMOTION_HTTPS_ONLY", default=False)

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "django_htmx",
    "audit",
    "teams",
    "clusters",
    "migrations_app",
    "kubemotion_web",
]

MIDDLEWARE = [
    "audit.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "kubemotion_web.urls"
ASGI_APPLICATION = "kubemotion_web.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "teams.context_processors.access_for",
            ],
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'kubemotion.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets pages read while the worker writes; IMMEDIATE makes writers queue instead of failing halfway.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
EMBEDDED = not REDIS_URL
# Clusters and object stores at loopback addresses: what the demo uses, and what nobody else should.
ALLOW_LOOPBACK = env.bool("KUBEMOTION_ALLOW_LOOPBACK", default=EMBEDDED)

CHANNEL_LAYERS = {
    "default": {"BACKEND": "kubemotion_web.channel_layer.LocalChannelLayer", "CONFIG": {"capacity": 1000}}
    if EMBEDDED
    else {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [REDIS_URL],
            "prefix": env.str("KUBEMOTION_CHANNEL_PREFIX", default="kubemotion"),
        },
    }
}

CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05} if EMBEDDED else {"visibility_timeout": 600}
CELERY_TASK_DEFAULT_QUEUE = env.str("KUBEMOTION_QUEUE", default="kubemotion")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep-pairs": {"task": "clusters.tasks.sweep_pairs", "schedule": 1.0, "options": {"expires": 5}},
    "sweep": {"task": "migrations_app.tasks.sweep", "schedule": 1.0, "options": {"expires": 5}},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("KUBEMOTION_TIME_ZONE", default="UTC")
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31536000 if HTTPS_ONLY else 0
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("KUBEMOTION_BEHIND_PROXY", default=False) else None
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "teams.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "kubemotion_web.pagination.PageNumberPagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.OrderingFilter",
    ],
    "EXCEPTION_HANDLER": "kubemotion_web.problems.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kubemotion Web",
    "DESCRIPTION": "Migrate stateful applications between Kubernetes and OpenShift clusters.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "kubemotion_web.schema.add_problems",
    ],
    # The validator's badge would send the description to a server of somebody else.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "ENUM_NAME_OVERRIDES": {
        "MigrationStatus": "migrations_app.models.Status",
        "PlanStatus": "migrations_app.plans.models.PlanStatus",
        "Verdict": "migrations_app.verifications.models.Verdict",
        "SuggestionState": "migrations_app.plans.models.SuggestionState",
        "CheckStatus": ["ok", "warning", "failure", "skipped"],
        "ProblemStatus": ["warning", "failure"],
    },
}

# The history asks here which teams' entries somebody may read: `audit` lies below `teams` and cannot import it.
AUDIT_READABLE_TEAMS = "teams.access.readable_team_ids"

MOVER_IMAGE = env.str("KUBEMOTION_MOVER_IMAGE", default="ghcr.io/kubemotion/kubemotion-mover:0.1.0")
# A file with what `docker login` or `podman login` writes, where that image's registry wants keys.
MOVER_PULL_CONFIG = env.str("KUBEMOTION_MOVER_PULL_CONFIG", default="")
MOVER_PRIORITY_CLASS = env.str("KUBEMOTION_MOVER_PRIORITY_CLASS", default="")
# As in a pod's spec: {"requests": {...}, "limits": {...}} and [{"key": ..., "operator": ...}, ...].
MOVER_RESOURCES = env.json("KUBEMOTION_MOVER_RESOURCES", default={})
MOVER_TOLERATIONS = env.json("KUBEMOTION_MOVER_TOLERATIONS", default=[])
MOVER_PREFERRED_NODES = env.dict("KUBEMOTION_MOVER_PREFERRED_NODES", default={})
if not isinstance(MOVER_RESOURCES, dict) or not isinstance(MOVER_TOLERATIONS, list):
    raise ImproperlyConfigured("KUBEMOTION_MOVER_RESOURCES takes a JSON object, KUBEMOTION_MOVER_TOLERATIONS a list.")
# Of one mover, in one direction; 0 leaves it to the network and, for workers, to the cores that the pod has.
MOVER_BYTES_PER_SECOND = env.int("KUBEMOTION_MOVER_BYTES_PER_SECOND", default=0)
MOVER_WORKERS = env.int("KUBEMOTION_MOVER_WORKERS", default=0)
# Movers at once, of all migrations together; the other volumes wait.
MOVERS_PER_CLUSTER = env.int("KUBEMOTION_MOVERS_PER_CLUSTER", default=8)
MOVERS_PER_NODE = env.int("KUBEMOTION_MOVERS_PER_NODE", default=4)
# Small volumes share one mover's Job while their claims' capacities together stay below this; 0 gives each its own.
MOVER_SHARED_BYTES = env.int("KUBEMOTION_MOVER_SHARED_BYTES", default=4 * 1024**3)
# How long Stork may stand still and complain before its Migration is given up; it would try for ever.
STORK_PATIENCE_SECONDS = env.float("KUBEMOTION_STORK_PATIENCE_SECONDS", default=180.0)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "kubemotion_web.logging.ContextFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s %(migration_id)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["context"]}},
    "root": {"handlers": ["console"], "level": env.str("KUBEMOTION_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "daphne": {"level": "WARNING"},
        # Below that they write down what they send and receive: key ids, signatures, the Secrets of clusters.
        "boto3": {"level": "INFO"},
        "botocore": {"level": "INFO"},
        "kubernetes": {"level": "INFO"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
