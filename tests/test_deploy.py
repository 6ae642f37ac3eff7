"""What is in deploy/: accepted by the validators there are, true to the project, run as far as it can be run here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from runpy import run_path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.rehearsal import stage

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
FORMS = ("sidecar", "daemonset")
SERVICES: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yml").read_text())["services"]
DOCKERFILES = (DEPLOY / "Dockerfile", COMPOSE / "app" / "Dockerfile")
UNIT = DEPLOY / "systemd" / "poolwatch-agent.service"


def run(*argv: str | Path, stdin: str | None = None) -> str:
    """Run a tool of this environment or of the system; gives what it wrote, and it must succeed."""
    here = Path(sys.executable).with_name(str(argv[0]))
    done = subprocess.run([here if here.exists() else argv[0], *argv[1:]], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def resources(folder: Path) -> list[dict[str, Any]]:
    """Give the resources of a kustomization, as far as ours use kustomize."""
    said = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[dict[str, Any]] = []
    for name in said.get("resources", ()):
        path = (folder / name).resolve()
        found += resources(path) if path.is_dir() else [yaml.safe_load(path.read_text())]
    for made in said.get("configMapGenerator", ()):
        about = {"name": made["name"], "labels": said["generatorOptions"]["labels"]}
        data = {name: (folder / name).read_text() for name in made["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data})
    for image in said.get("images", ()):
        for container in (one for resource in found for one in containers(resource)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def pod(resource: dict[str, Any]) -> dict[str, Any]:
    """Give the pod's specification of a Deployment or DaemonSet."""
    spec: dict[str, Any] = (
        resource["spec"]["template"]["spec"] if resource["kind"] in ("Deployment", "DaemonSet") else {}
    )
    return spec


def containers(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the containers of a resource, sidecars first."""
    return [*pod(resource).get("initContainers", ()), *pod(resource).get("containers", ())]


def test_compose_file_is_valid() -> None:
    """The schema of the compose specification accepts it."""
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE / "compose.yml")


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_locked(name: str) -> None:
    """Each has a pinned image, a read-only root, no capabilities, and is published on loopback only."""
    said = SERVICES[name]
    assert re.fullmatch(r"\S+:v?\d+\.\d+(\.\d+)?(-\w+)*", said["image"])
    assert said["read_only"]
    assert said["cap_drop"] == ["ALL"]
    assert "private" in said.get("networks", ()) or "network_mode" in said
    assert all(port.startswith("127.0.0.1:") for port in said.get("ports", ()))
    assert ("ports" in said) == ("front" in said.get("networks", ()))
    assert "build" in said or "healthcheck" in said or name in {"collector", "pager"}


def test_mounted_files_are_there() -> None:
    """Every file or folder that compose.yml mounts or builds from is in the repository."""
    mounts = [volume.split(":")[0] for said in SERVICES.values() for volume in said.get("volumes", ())]
    files = [COMPOSE / mount for mount in mounts if mount.startswith(".")]
    files += [ROOT / said["build"]["dockerfile"] for said in SERVICES.values() if "build" in said]
    assert [path for path in files if not path.exists()] == []


def test_collector_names_what_it_has() -> None:
    """Each pipeline of the collector's configuration is made of parts that are configured, and no part is idle."""
    said = yaml.safe_load((COMPOSE / "collector.yml").read_text())
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in said["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(said[kind])


def test_prometheus_of_compose_is_valid(tmp_path: Path) -> None:
    """promtool accepts the configuration where its files are as in the container, the secret included."""
    shutil.copytree(DEPLOY / "prometheus" / "rules", tmp_path / "rules")
    (tmp_path / "token").write_text("x" * 16)
    text = (COMPOSE / "prometheus.yml").read_text().replace("/run/secrets/poolwatch-token", str(tmp_path / "token"))
    (tmp_path / "prometheus.yml").write_text(text)
    assert "rules found" in run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_pager_listens_where_the_alerts_go() -> None:
    """The example's webhooks end at the port that compose.yml's pager listens on."""
    urls = re.findall(r"url: (\S+)", (DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    assert {url.rpartition("/")[0] for url in urls} == {f"http://127.0.0.1:{SERVICES['pager']['command'][-1]}"}


def test_grafana_finds_what_dashboards_ask_for() -> None:
    """Grafana is provisioned with the kinds of data source that the dashboards want, and points lead to traces."""
    sources = {
        s["uid"]: s for s in yaml.safe_load((COMPOSE / "grafana" / "datasources.yml").read_text())["datasources"]
    }
    assert sources["prometheus"]["type"] == "prometheus"
    (link,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link["datasourceUid"] in sources
    provider = yaml.safe_load((COMPOSE / "grafana" / "dashboards.yml").read_text())["providers"][0]
    assert f"../../dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_are_clean(path: Path) -> None:
    """hadolint has nothing to say; both end as the user who may read the spool, with a health check."""
    assert run("hadolint", path) == ""
    last = path.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last


def test_images_get_what_the_package_needs() -> None:
    """Each dependency, of the package and of the demo application, has one exact version that the package allows."""
    from packaging.requirements import Requirement

    pinned = dict(line.split("==") for line in (DEPLOY / "constraints.txt").read_text().splitlines()[1:])
    needed = [Requirement(text) for text in metadata.requires("poolwatch") or () if "extra ==" not in text]
    needed += map(Requirement, (COMPOSE / "app" / "requirements.txt").read_text().splitlines()[1:])
    assert [str(one) for one in needed if pinned.get(one.name.lower(), "") not in one.specifier] == []
    assert [one.name for one in needed if one.name.lower() not in pinned] == []


def test_versions_are_those_of_the_package() -> None:
    """Images, manifests and labels name the version of this package."""
    version = metadata.version("poolwatch")
    assert f'image.version="{version}"' in (DEPLOY / "Dockerfile").read_text()
    assert SERVICES["agent"]["image"] == f"poolwatch:{version}"
    for form in FORMS:
        images = {one["image"] for resource in resources(KUBERNETES / form) for one in containers(resource)}
        assert f"poolwatch:{version}" in images


@pytest.mark.parametrize("form", FORMS)
def test_manifests_are_valid(form: str) -> None:
    """Kubernetes' own schemas accept every resource that is not of the Prometheus Operator, strictly."""
    unknown = set()
    for resource in resources(KUBERNETES / form):
        try:
            kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(resource["kind"])
    assert unknown == {"PodMonitor", "PrometheusRule"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl, which has kustomize in it, is not installed")
def test_kustomize_gives_the_same(form: str) -> None:
    """kustomize makes of the files what the other tests look at."""
    made = list(yaml.safe_load_all(run("kubectl", "kustomize", KUBERNETES / form)))
    key = lambda one: (one["kind"], one["metadata"]["name"])  # noqa: E731
    assert sorted(made, key=key) == sorted(resources(KUBERNETES / form), key=key)


@pytest.mark.parametrize("form", FORMS)
def test_pods_are_locked(form: str) -> None:
    """No container is root, writes to its root, or has a capability; the agent sees the pids that it reads of."""
    (workload,) = (one for one in resources(KUBERNETES / form) if pod(one))
    said = pod(workload)
    assert said["securityContext"]["runAsNonRoot"]
    assert said["shareProcessNamespace" if form == "sidecar" else "hostPID"]
    for container in containers(workload):
        locks = container["securityContext"]
        assert (locks["allowPrivilegeEscalation"], locks["readOnlyRootFilesystem"]) == (False, True)
        assert locks["capabilities"] == {"drop": ["ALL"]}
        assert {"name": "spool", "mountPath": "/run/poolwatch"} in container["volumeMounts"]


@pytest.mark.parametrize("form", FORMS)
def test_pods_are_scraped(form: str) -> None:
    """The PodMonitor selects the pods, finds the port, and has the token that the agent asks for."""
    found = {one["kind"]: one for one in resources(KUBERNETES / form)}
    (workload,) = (one for one in found.values() if pod(one))
    monitor, template = found["PodMonitor"]["spec"], workload["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert monitor["jobLabel"] in template["metadata"]["labels"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for one in containers(workload) for port in one["ports"]}
    secrets = {one["secret"]["secretName"] for one in pod(workload)["volumes"] if "secret" in one}
    assert endpoint["authorization"]["credentials"]["name"] in secrets


def test_rules_are_those_of_prometheus() -> None:
    """The PrometheusRule has been made from the rules as they are now."""
    made = (KUBERNETES / "base" / "rules.yaml").read_text()
    assert made == run_path(str(KUBERNETES / "build.py"))["render"](), "run: python deploy/kubernetes/build.py"


def test_every_dashboard_is_brought() -> None:
    """There is a ConfigMap for each dashboard, with the label that Grafana's sidecar looks for."""
    maps = [one for one in resources(KUBERNETES / "sidecar") if one["kind"] == "ConfigMap"]
    assert {name for one in maps for name in one["data"]} == {p.name for p in (ROOT / "dashboards").glob("*.json")}
    assert all(
        one["metadata"]["labels"] == {"grafana_dashboard": "1"} and json.loads(*one["data"].values()) for one in maps
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_unit_is_valid(tmp_path: Path) -> None:
    """systemd accepts the unit, with the program at a place where there is one, and finds little to attack."""
    program = Path(sys.executable).with_name("poolwatch")
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/opt/poolwatch/bin/poolwatch", str(program)))
    assert run("systemd-analyze", "verify", tmp_path / UNIT.name) == ""
    exposure = re.search(r"exposure level for .*: ([\d.]+)", run("systemd-analyze", "security", "--offline=true", UNIT))
    assert exposure is not None
    assert float(exposure[1]) < 2
    assert "RemoveIPC=yes" not in UNIT.read_text(), "at its end it would remove the watched programs' shared memory"


@pytest.mark.slow
@pytest.mark.timeout(400)  # a minute at most for each of many steps, where the machine is busy
@pytest.mark.skipif(bool(stage.problem()), reason=stage.problem() or "can be had")
def test_rehearsal() -> None:
    """compose.yml's own services, from shop to Alertmanager: well, a leak, the alert, cured."""
    done = subprocess.run([sys.executable, "-m", "tests.rehearsal"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the leak is resolved" in done.stdout
