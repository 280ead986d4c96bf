"""The Pod Security Standards: what keeps a pod out of a namespace with a level.

Rules and words are those of k8s.io/pod-security-admission/policy, at the latest version of the standards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from migrations_app.resources.references import items, section

Object = dict[str, Any]
LEVELS = ("privileged", "baseline", "restricted")

# The capabilities that `baseline` lets containers add.
BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}  # fmt: skip
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
VOLUMES = {
    "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
    "image",
}  # fmt: skip
SECCOMP = ("RuntimeDefault", "Localhost")

Rule = Callable[[Object], Iterator[str]]


def violations_of(spec: Object, level: str) -> list[str]:
    """What keeps a pod of this spec out of a namespace with the level, in the words of the API server."""
    rules: tuple[Rule, ...] = ()
    if level in ("baseline", "restricted"):
        rules += BASELINE
    if level == "restricted":
        # Stricter rules stand in the place of some.
        rules = (*(each for each in rules if each not in REPLACED), *RESTRICTED)
    return [violation for rule in rules for violation in rule(spec)]


def _containers(spec: Object) -> list[Object]:
    return [*items(spec, "initContainers"), *items(spec, "containers"), *items(spec, "ephemeralContainers")]


def _named(containers: Iterable[Object]) -> str:
    names = [f'"{each.get("name")}"' for each in containers]
    return f"container{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _of(container: Object) -> Object:
    return section(container, "securityContext")


# -- baseline


def _host_namespaces(spec: Object) -> Iterator[str]:
    if found := [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]:
        yield f"host namespaces ({', '.join(found)})"


def _privileged(spec: Object) -> Iterator[str]:
    if found := [each for each in _containers(spec) if _of(each).get("privileged")]:
        yield f"privileged ({_named(found)} must not set securityContext.privileged=true)"


def _added_capabilities(spec: Object) -> Iterator[str]:
    wrong = {
        str(each.get("name")): sorted(set(section(_of(each), "capabilities").get("add") or ()) - BASELINE_CAPABILITIES)
        for each in _containers(spec)
    }
    if wrong := {name: found for name, found in wrong.items() if found}:
        names = ", ".join(f'"{name}"' for name in wrong)
        added = ", ".join(f'"{each}"' for each in sorted({each for found in wrong.values() for each in found}))
        kind = "containers" if len(wrong) > 1 else "container"
        yield f"non-default capabilities ({kind} {names} must not include {added} in securityContext.capabilities.add)"


def _host_paths(spec: Object) -> Iterator[str]:
    if found := [f'"{each.get("name")}"' for each in items(spec, "volumes") if each.get("hostPath") is not None]:
        yield f"hostPath volumes (volume{'s' if len(found) > 1 else ''} {', '.join(found)})"


def _host_ports(spec: Object) -> Iterator[str]:
    if found := [each for each in _containers(spec) if any(port.get("hostPort") for port in items(each, "ports"))]:
        ports = sorted(
            {str(port["hostPort"]) for each in found for port in items(each, "ports") if port.get("hostPort")}
        )
        yield f"hostPort ({_named(found)} uses hostPort{'s' if len(ports) > 1 else ''} {', '.join(ports)})"


def _se_linux(spec: Object) -> Iterator[str]:
    for context in [section(spec, "securityContext"), *(_of(each) for each in _containers(spec))]:
        options = section(context, "seLinuxOptions")
        if options.get("type") not in SELINUX_TYPES or options.get("user") or options.get("role"):
            yield f"seLinuxOptions (type {options.get('type')!r}, user {options.get('user')!r})"
            return


def _proc_mount(spec: Object) -> Iterator[str]:
    if found := [each for each in _containers(spec) if _of(each).get("procMount") not in (None, "", "Default")]:
        yield f"procMount ({_named(found)} must not set securityContext.procMount)"


def _unconfined(spec: Object) -> Iterator[str]:
    contexts = [section(spec, "securityContext"), *(_of(each) for each in _containers(spec))]
    if any(section(each, "seccompProfile").get("type") == "Unconfined" for each in contexts):
        yield 'seccompProfile (must not set securityContext.seccompProfile.type to "Unconfined")'


def _app_armor(spec: Object) -> Iterator[str]:
    contexts = [section(spec, "securityContext"), *(_of(each) for each in _containers(spec))]
    if any(section(each, "appArmorProfile").get("type") == "Unconfined" for each in contexts):
        yield 'appArmorProfile (must not set AppArmor profile type to "Unconfined")'


def _sysctls(spec: Object) -> Iterator[str]:
    names = {str(each.get("name")) for each in items(section(spec, "securityContext"), "sysctls")}
    if found := sorted(names - SAFE_SYSCTLS):
        yield f"forbidden sysctls ({', '.join(found)})"


def _host_process(spec: Object) -> Iterator[str]:
    contexts = [section(spec, "securityContext"), *(_of(each) for each in _containers(spec))]
    if any(section(each, "windowsOptions").get("hostProcess") for each in contexts):
        yield "hostProcess (must not set securityContext.windowsOptions.hostProcess=true)"


def _probes(spec: Object) -> Iterator[str]:
    hosts = {
        str(host)
        for each in _containers(spec)
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for way in ("httpGet", "tcpSocket")
        if (host := section(each, probe, way).get("host"))
    }
    if found := sorted(hosts - {"127.0.0.1", "::1"}):
        yield f"probe or lifecycle host (hosts {', '.join(found)})"


BASELINE: tuple[Rule, ...] = (
    _host_namespaces, _privileged, _added_capabilities, _host_paths, _host_ports, _se_linux, _proc_mount, _unconfined,
    _app_armor, _sysctls, _host_process, _probes,
)  # fmt: skip


# -- restricted


def _volume_types(spec: Object) -> Iterator[str]:
    found = {str(each.get("name")): sorted(set(each) - VOLUMES) for each in items(spec, "volumes")}
    if wrong := {name: kinds for name, kinds in found.items() if kinds}:
        names = ", ".join(f'"{name}"' for name in wrong)
        kinds = ", ".join(sorted({kind for found_kinds in wrong.values() for kind in found_kinds}))
        kind = "volumes" if len(wrong) > 1 else "volume"
        verb = "use restricted volume types" if len(wrong) > 1 else "uses restricted volume type"
        yield f'restricted volume types ({kind} {names} {verb} "{kinds}")'


def _escalation(spec: Object) -> Iterator[str]:
    if found := [each for each in _containers(spec) if _of(each).get("allowPrivilegeEscalation") is not False]:
        yield (
            f"allowPrivilegeEscalation != false ({_named(found)} must set "
            "securityContext.allowPrivilegeEscalation=false)"
        )


def _capabilities(spec: Object) -> Iterator[str]:
    kept = [each for each in _containers(spec) if "ALL" not in (section(_of(each), "capabilities").get("drop") or ())]
    added = [
        each
        for each in _containers(spec)
        if set(section(_of(each), "capabilities").get("add") or ()) - {"NET_BIND_SERVICE"}
    ]
    said = [f'{_named(kept)} must set securityContext.capabilities.drop=["ALL"]'] if kept else []
    if added:
        names = sorted(
            {each for one in added for each in section(_of(one), "capabilities")["add"]} - {"NET_BIND_SERVICE"}
        )
        quoted = ", ".join(f'"{each}"' for each in names)
        said.append(f"{_named(added)} must not include {quoted} in securityContext.capabilities.add")
    if said:
        yield f"unrestricted capabilities ({'; '.join(said)})"


def _as_root(spec: Object) -> Iterator[str]:
    pod = section(spec, "securityContext")
    wrong = [
        each
        for each in _containers(spec)
        if not (_of(each).get("runAsNonRoot") if "runAsNonRoot" in _of(each) else pod.get("runAsNonRoot"))
    ]
    if wrong:
        yield f"runAsNonRoot != true (pod or {_named(wrong)} must set securityContext.runAsNonRoot=true)"


def _as_user_zero(spec: Object) -> Iterator[str]:
    if section(spec, "securityContext").get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    elif found := [each for each in _containers(spec) if _of(each).get("runAsUser") == 0]:
        yield f"runAsUser=0 ({_named(found)} must not set runAsUser=0)"


def _seccomp(spec: Object) -> Iterator[str]:
    pod = section(spec, "securityContext", "seccompProfile").get("type")
    wrong = [
        each for each in _containers(spec) if (section(_of(each), "seccompProfile").get("type") or pod) not in SECCOMP
    ]
    if wrong:
        yield (
            f"seccompProfile (pod or {_named(wrong)} must set securityContext.seccompProfile.type to "
            '"RuntimeDefault" or "Localhost")'
        )


RESTRICTED: tuple[Rule, ...] = (_volume_types, _escalation, _capabilities, _as_root, _as_user_zero, _seccomp)
REPLACED = (_added_capabilities, _host_paths, _unconfined)
# What a rule of the migration can add without changing how most applications run.
EASY = ("allowPrivilegeEscalation", "unrestricted capabilities", "runAsNonRoot", "seccompProfile")
