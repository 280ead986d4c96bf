"""The SecurityContextConstraints that every OpenShift cluster has, as far as tests need them, and who may use them."""

from __future__ import annotations

from typing import Any

from tests.resources.objects import Object, make

RBAC = "rbac.authorization.k8s.io"
ROLE = "system:openshift:scc:"
VOLUMES = [
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
]  # fmt: skip


def constraints(name: str, **fields: Any) -> Object:
    strict = {
        "allowPrivilegedContainer": False,
        "allowHostNetwork": False,
        "allowHostPID": False,
        "allowHostIPC": False,
        "allowHostPorts": False,
        "allowHostDirVolumePlugin": False,
        "runAsUser": {"type": "MustRunAsRange"},
        "fsGroup": {"type": "MustRunAs"},
        "seLinuxContext": {"type": "MustRunAs"},
        "volumes": VOLUMES,
        "users": [],
        "groups": [],
    }
    return make("SecurityContextConstraints", name, **{**strict, **fields})


def openshifts_own() -> list[Object]:
    """The constraints, a role for each, and the binding by which every account may use restricted-v2."""
    anyone = {"type": "RunAsAny"}
    version_2 = {
        "allowPrivilegeEscalation": False,
        "requiredDropCapabilities": ["ALL"],
        "allowedCapabilities": ["NET_BIND_SERVICE"],
        "seccompProfiles": ["runtime/default"],
    }
    found = [
        constraints("restricted-v2", **version_2),
        constraints("nonroot-v2", **version_2, runAsUser={"type": "MustRunAsNonRoot"}, fsGroup=anyone),
        constraints("anyuid", priority=10, runAsUser=anyone, fsGroup=anyone, requiredDropCapabilities=["MKNOD"]),
    ]
    roles = [
        make(
            "ClusterRole",
            ROLE + each["metadata"]["name"],
            rules=[
                {
                    "apiGroups": ["security.openshift.io"],
                    "resources": ["securitycontextconstraints"],
                    "resourceNames": [each["metadata"]["name"]],
                    "verbs": ["use"],
                }
            ],
        )
        for each in found
    ]
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{ROLE}restricted-v2"}
    everybody = [{"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}]
    binding = make("ClusterRoleBinding", f"{ROLE}restricted-v2", roleRef=reference, subjects=everybody)
    return [*found, *roles, binding]
