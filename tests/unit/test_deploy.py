"""What is in `deploy/` fits what the code shows; Prometheus' own tool says that the rules are good and fire."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from adapters.telemetry.metrics import METRICS, Kind
from adapters.telemetry.prometheus import PrometheusTelemetry
from fakes.telemetry import InMemoryTelemetry
from runners.cli.main import engagement
from runners.settings import Settings, SettingsProblem
from runners.worker.endpoint import Monitor
from support.promtool import needs_promtool

_ROOT = Path(__file__).resolve().parents[2]
_PROMETHEUS = _ROOT / "deploy" / "prometheus"
_RULES = (_PROMETHEUS / "alerts.yml").read_text()
_TESTS = (_PROMETHEUS / "alerts.test.yml").read_text()
_ALERTS = re.findall(r"- alert: (\w+)", _RULES)
_DASHBOARD = json.loads((_ROOT / "deploy" / "grafana" / "pod-engagement.json").read_text())
_LABELS = {metric.name: set(metric.labels) for metric in METRICS}
_OF_PROMETHEUS = {"le", "instance", "job"}


def queries() -> list[Any]:
    """Every query of the dashboard, with its panel's title."""
    return [
        pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
        for panel in _DASHBOARD["panels"]
        for target in panel["targets"]
    ]


def expressions_of_rules() -> list[str]:
    """Every expression of the rules."""
    found = re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*))", _RULES)
    return [block or line for block, line in found]


def base_name(name: str) -> str:
    """A histogram's series are called by its name and what they hold."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


def shown() -> set[str]:
    """The names on a live page."""
    return set(re.findall(r"^([a-z_]+)", PrometheusTelemetry().page().decode(), re.MULTILINE))


def pages_of_a_worker() -> set[str]:
    """The paths that it serves."""
    served: set[str] = set()

    def listen(pages: Any) -> Any:
        served.update(pages)
        raise OSError("enough")

    with (
        suppress(SettingsProblem),
        Monitor(address="", listen=listen, metrics=PrometheusTelemetry(), telemetry=InMemoryTelemetry()),
    ):
        pass
    return served


def check(expression: str) -> None:
    """It asks for what is shown, by labels that it has."""
    asked = re.findall(r"\b((?:engagement|process)_[a-z_]+)(?:\{([^}]*)\})?", expression)
    assert asked, expression
    for name, selector in asked:
        assert name in shown(), f"{name} is not shown: {expression}"
        selected = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert selected <= _LABELS.get(base_name(name), set()) | _OF_PROMETHEUS, expression
        for label, values in re.findall(r"(\w+)(?:=~|!~|!=|=)\"([^\"]*)\"", selector):
            known = next((metric.labels.get(label) for metric in METRICS if metric.name == base_name(name)), None)
            assert known is None or set(values.split("|")) <= set(known), expression
    grouped = {label for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.split(r", *", group)}
    assert grouped <= set().union(*(_LABELS.get(base_name(name), set()) for name, _ in asked)) | _OF_PROMETHEUS


@pytest.mark.parametrize("expression", queries())
def test_query_of_the_dashboard_asks_for_what_is_there(expression: str) -> None:
    """A name or a label that changes would leave a panel empty, and nobody would know."""
    check(expression)


@pytest.mark.parametrize("expression", expressions_of_rules())
def test_rule_asks_for_what_is_there(expression: str) -> None:
    """`up` is Prometheus' own."""
    if "up{" not in expression:
        check(expression)


def test_dashboard_shows_every_metric() -> None:
    """And no panel has the place or the number of another."""
    asked = " ".join(target["expr"] for panel in _DASHBOARD["panels"] for target in panel["targets"])
    assert [metric.name for metric in METRICS if metric.name not in asked] == []
    for field in ("id", "gridPos"):
        places = [json.dumps(panel[field]) for panel in _DASHBOARD["panels"]]
        assert len(places) == len(set(places))


@pytest.mark.parametrize("expression", [param.values[0] for param in queries()] + expressions_of_rules())
def test_what_the_database_counts_is_never_summed(expression: str) -> None:
    """Every worker shows the same rows."""
    gauges = [metric.name for metric in METRICS if metric.kind is Kind.GAUGE]
    assert not re.search(rf"\bsum[^(]*\(\s*({'|'.join(gauges)})\b", expression)


def test_the_deployment_runs_the_image_of_docker_by_its_own_command() -> None:
    """The same image as compose, a command that there is, the drain's time, and no secret in the file."""
    deployment = yaml.safe_load((_ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    compose = yaml.safe_load((_ROOT / "deploy" / "docker" / "compose.yaml").read_text())
    dockerfile = (_ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    pod = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    (worker,) = pod["spec"]["containers"]
    assert worker["image"] == compose["services"]["worker"]["image"]
    assert worker["args"] == compose["services"]["worker"]["command"]
    assert "command" not in worker
    assert 'ENTRYPOINT ["engagement"]' in dockerfile
    assert worker["args"][0] in engagement.list_commands(click.Context(engagement))
    assert worker["envFrom"] == [{"secretRef": {"name": "pod-engagement"}}]
    assert "env" not in worker
    assert timedelta(seconds=pod["spec"]["terminationGracePeriodSeconds"]) > Settings().shutdown_grace


def test_the_deployment_asks_pages_that_a_worker_has() -> None:
    """On the port that the image listens on, from outside the container."""
    deployment = yaml.safe_load((_ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    (worker,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = worker["ports"]
    assert port["containerPort"] == Settings().metrics_port
    assert f"EXPOSE {port['containerPort']}" in (_ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    assert "POD_ENGAGEMENT_METRICS_HOST=0.0.0.0" in (_ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    page = (_ROOT / "docs" / "reference" / "metrics.md").read_text()
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert worker[probe]["httpGet"] == {"path": path, "port": port["name"]}
        assert f"| `{path}` |" in page
        assert path in pages_of_a_worker()


@needs_promtool
def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    """Grafana's own variable aside."""
    rules = {"groups": [{"name": "dashboard", "rules": []}]}
    for number, param in enumerate(queries()):
        expression = str(param.values[0]).replace("$__rate_interval", "5m")
        rules["groups"][0]["rules"].append({"record": f"query:{number}", "expr": expression})  # type: ignore[attr-defined]
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    promtool("check", "rules", str(tmp_path / "rules.yml"))


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    """The rules parse, and each fires when its test says so."""
    promtool(*arguments)


@pytest.mark.parametrize("alert", _ALERTS)
def test_alert_has_a_test_that_makes_it_fire_and_a_paragraph_that_says_what_to_do(alert: str) -> None:
    """Where its annotation points to."""
    fired = rf"alertname: {alert}\n {{8}}exp_alerts:\n"
    assert re.search(fired, _TESTS), f"no test makes {alert} fire"
    assert f"runbook: docs/how-to/monitor.md#{alert.lower()}\n" in _RULES
    assert f"\n### {alert}\n" in (_ROOT / "docs" / "how-to" / "monitor.md").read_text()


def test_links_of_the_page_lead_somewhere() -> None:
    """Files, and headings of the alerts' page."""
    page = _ROOT / "docs" / "how-to" / "monitor.md"
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, heading = target.partition("#")
        assert (page.parent / path).exists(), target
        if heading:
            assert f"\n### `{heading}`\n" in (page.parent / path).read_text(), target


def promtool(*arguments: str) -> None:
    """It must be content; else what it says is the failure."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=_PROMETHEUS, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
