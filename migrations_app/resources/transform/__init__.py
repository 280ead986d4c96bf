"""What must change so that an object fits another cluster: a table of small rules per kind, each with its source.

    metadata.py     what every object loses
    services.py, workloads.py, accounts.py, storage.py, admission.py, openshift.py    what kinds lose
    namespaces.py, images.py, hosts.py, storage.py    what is called differently there
    rules.py        what users ask for (one level up)
    stopping.py     applications that come stopped

`transformed` is pure and can be repeated: transforming twice gives what transforming once gave.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from migrations_app.resources import rules
from migrations_app.resources.marks import MIGRATION_LABEL, SOURCE_ANNOTATION, type_of
from migrations_app.resources.transform import (
    accounts,
    admission,
    hosts,
    images,
    namespaces,
    openshift,
    services,
    storage,
    workloads,
)
from migrations_app.resources.transform.metadata import FOREIGN_ANNOTATIONS as FOREIGN_ANNOTATIONS
from migrations_app.resources.transform.metadata import LAST_APPLIED as LAST_APPLIED
from migrations_app.resources.transform.metadata import SERVER_METADATA as SERVER_METADATA
from migrations_app.resources.transform.metadata import stripped
from migrations_app.resources.transform.options import Object, Rule, was_transformed
from migrations_app.resources.transform.options import Options as Options
from migrations_app.resources.transform.stopping import stop

# By group and kind: operators define Jobs and Services of their own, which mean something else.
RULES: dict[tuple[str, str], tuple[Rule, ...]] = {
    ("", "Service"): (services.addresses, services.node_ports),
    ("", "ServiceAccount"): (accounts.service_account,),
    ("", "Secret"): (accounts.token,),
    ("", "Pod"): (workloads.pod,),
    ("", "PersistentVolumeClaim"): (storage.claim,),
    ("", "PersistentVolume"): (storage.volume,),
    ("batch", "Job"): (workloads.job, workloads.pod_templates),
    ("batch", "CronJob"): (workloads.pod_templates,),
    ("apps", "StatefulSet"): (storage.claim_templates, workloads.pod_templates),
    ("apps", "Deployment"): (workloads.pod_templates,),
    ("apps", "DaemonSet"): (workloads.pod_templates,),
    ("apps", "ReplicaSet"): (workloads.pod_templates,),
    ("apps.openshift.io", "DeploymentConfig"): (workloads.pod_templates, openshift.deployment_config),
    ("build.openshift.io", "BuildConfig"): (openshift.build_config,),
    ("image.openshift.io", "ImageStream"): (openshift.image_stream,),
    ("route.openshift.io", "Route"): (openshift.route_host,),
    ("rbac.authorization.k8s.io", "ClusterRole"): (accounts.aggregated,),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (accounts.subjects,),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (admission.authorities,),
    ("apiregistration.k8s.io", "APIService"): (admission.authorities,),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): (admission.authorities,),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): (admission.authorities,),
}

# Images before namespaces: a registry is mapped by the name that the source has for it.
MAPPINGS: tuple[Callable[[Object, Options], None], ...] = (
    storage.map_classes,
    storage.map_access_modes,
    images.map_images,
    hosts.map_hosts,
    namespaces.map_namespaces,
)


def transformed(obj: Object, options: Options) -> Object:
    """The object as it is to be on the destination. Raises RuleError where a user's rule cannot be applied to it."""
    # Copied without what stays behind, of which managedFields and status are often the larger part.
    kept = {name: value for name, value in obj.items() if name != "status"}
    result = copy.deepcopy({**kept, "metadata": stripped(obj)})
    for rule in RULES.get(type_of(result), ()):
        rule(result, options, obj)
    if not was_transformed(obj, options):
        for mapping in MAPPINGS:
            mapping(result, options)
        result = rules.applied(result, obj, options.transformations)
    metadata = result["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), MIGRATION_LABEL: options.migration_id}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SOURCE_ANNOTATION: options.source}
    if not options.spec.start_applications:
        stop(result, options.suspensions)
    return result
