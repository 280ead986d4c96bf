"""The content management system of the story: MySQL and WordPress with all that a team puts around them."""

from __future__ import annotations

import base64
from typing import Any

from demo.estate.sites import Site, node_name

Object = dict[str, Any]
NAMESPACE = "cms"
DATABASE_CLAIM, SITE_CLAIM = "px-mysql-pvc", "px-wp-pvc"
HOST = "cms.example.com"
MYSQL_IMAGE = "docker.io/library/mysql:8.4.6"
WORDPRESS_IMAGE = "docker.io/library/wordpress:6.8.3-php8.3-apache"
ROOT_PASSWORD = "made-up-for-the-demo"


def _metadata(name: str, app: str, **more: Any) -> Object:
    return {"name": name, "namespace": NAMESPACE, "labels": {"app": app, "app.kubernetes.io/part-of": "cms"}, **more}


def namespace() -> Object:
    """The project."""
    annotations = {
        "openshift.io/description": "Content management system of the marketing site",
        "openshift.io/display-name": "CMS",
        "openshift.io/requester": "alice",
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"team": "content"}, "annotations": annotations},
    }


def claims(site: Site) -> list[Object]:
    """The two claims; the database's is already promised to the first node, as its first pod had it."""
    return [
        _claim(
            DATABASE_CLAIM,
            "mysql",
            site.block_class,
            "ReadWriteOnce",
            "8Gi",
            annotations={"volume.kubernetes.io/selected-node": node_name(site, 0)},
        ),
        _claim(SITE_CLAIM, "wordpress", site.shared_class, "ReadWriteMany", "10Gi"),
    ]


def _claim(name: str, app: str, class_name: str, mode: str, size: str, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(name, app, **metadata),
        "spec": {
            "accessModes": [mode],
            "resources": {"requests": {"storage": size}},
            "storageClassName": class_name,
            "volumeMode": "Filesystem",
        },
    }


def application() -> list[tuple[str, Object]]:
    """Resource and object of everything else, in the order in which it can be made."""
    return [
        ("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata("cms", "wordpress")}),
        ("roles.rbac.authorization.k8s.io", _role()),
        ("rolebindings.rbac.authorization.k8s.io", _role_binding()),
        ("secrets", _secret("mysql-root", "mysql", {"password": ROOT_PASSWORD})),
        ("secrets", _secret("wordpress-salts", "wordpress", {"AUTH_KEY": "j#7q", "SECURE_AUTH_KEY": "p0-x"})),
        ("configmaps", _config("mysql-config", "mysql", {"my.cnf": MY_CNF})),
        ("configmaps", _config("wordpress-config", "wordpress", {"uploads.ini": "upload_max_filesize = 64M\n"})),
        ("services", _service("mysql", 3306)),
        ("services", _service("wordpress", 80)),
        ("deployments.apps", _mysql()),
        ("deployments.apps", _wordpress()),
        ("routes.route.openshift.io", _route()),
        ("horizontalpodautoscalers.autoscaling", _autoscaler()),
        ("networkpolicies.networking.k8s.io", _network_policy()),
        ("poddisruptionbudgets.policy", _budget()),
        ("cronjobs.batch", _backup()),
    ]


MY_CNF = "[mysqld]\ninnodb_buffer_pool_size = 256M\nlog_bin = binlog\nsync_binlog = 1\n"


def _role() -> Object:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules}
    return {**body, "metadata": _metadata("cms-config-reader", "wordpress")}


def _role_binding() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata("cms-config-reader", "wordpress"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "cms-config-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "cms", "namespace": NAMESPACE}],
    }


def _secret(name: str, app: str, values: dict[str, str]) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(name, app), "type": "Opaque", "data": data}


def _config(name: str, app: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name, app), "data": data}


def _service(app: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(app, app),
        "spec": {
            "selector": {"app": app},
            "ports": [{"name": "mysql" if port == 3306 else "http", "port": port, "targetPort": port}],
            **({"clusterIP": "None"} if app == "mysql" else {}),
        },
    }


def _deployment(app: str, spec: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(app, app),
        "spec": {
            "replicas": 1,
            # A volume that one node holds cannot be handed over while the old pod still runs.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": spec},
        },
    }


def _mysql() -> Object:
    root = {"name": "MYSQL_ROOT_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mysql-root", "key": "password"}}}
    container = {
        "name": "mysql",
        "image": MYSQL_IMAGE,
        "env": [root, {"name": "MYSQL_DATABASE", "value": "wordpress"}],
        "ports": [{"containerPort": 3306, "name": "mysql"}],
        "readinessProbe": {"exec": {"command": ["mysqladmin", "ping"]}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/mysql"},
            {"name": "config", "mountPath": "/etc/mysql/conf.d"},
        ],
    }
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": DATABASE_CLAIM}},
        {"name": "config", "configMap": {"name": "mysql-config"}},
    ]
    return _deployment("mysql", {"serviceAccountName": "cms", "containers": [container], "volumes": volumes})


def _wordpress() -> Object:
    password = {
        "name": "WORDPRESS_DB_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "mysql-root", "key": "password"}},
    }
    container = {
        "name": "wordpress",
        "image": WORDPRESS_IMAGE,
        "env": [{"name": "WORDPRESS_DB_HOST", "value": "mysql"}, password],
        "envFrom": [{"secretRef": {"name": "wordpress-salts"}}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [
            {"name": "site", "mountPath": "/var/www/html"},
            {"name": "config", "mountPath": "/usr/local/etc/php/conf.d/uploads.ini", "subPath": "uploads.ini"},
        ],
    }
    volumes = [
        {"name": "site", "persistentVolumeClaim": {"claimName": SITE_CLAIM}},
        {"name": "config", "configMap": {"name": "wordpress-config"}},
    ]
    return _deployment("wordpress", {"serviceAccountName": "cms", "containers": [container], "volumes": volumes})


def _route() -> Object:
    return {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": _metadata("wp", "wordpress"),
        "spec": {
            "host": HOST,
            "to": {"kind": "Service", "name": "wordpress", "weight": 100},
            "port": {"targetPort": "http"},
            "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
        },
    }


def _autoscaler() -> Object:
    target = {"type": "Utilization", "averageUtilization": 75}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata("wordpress", "wordpress"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "wordpress"},
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _network_policy() -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata("mysql-from-wordpress", "mysql"),
        "spec": {
            "podSelector": {"matchLabels": {"app": "mysql"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": {"app": "wordpress"}}}],
                    "ports": [{"protocol": "TCP", "port": 3306}],
                }
            ],
        },
    }


def _budget() -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata("wordpress", "wordpress"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "wordpress"}}},
    }


def _backup() -> Object:
    container = {
        "name": "dump",
        "image": MYSQL_IMAGE,
        "command": ["sh", "-c", "mysqldump --host=mysql --all-databases | gzip > /backup/cms.sql.gz"],
        "volumeMounts": [{"name": "backup", "mountPath": "/backup"}],
    }
    pod = {"restartPolicy": "OnFailure", "containers": [container], "volumes": [{"name": "backup", "emptyDir": {}}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata("mysql-backup", "mysql"),
        "spec": {
            "schedule": "15 3 * * *",
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }
