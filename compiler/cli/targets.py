"""``tilewright targets``: what can run here, on what, and what is missing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import click
from msgspec import to_builtins
from msgspec.json import encode

from tilewright.compiler.cli.environment import environment
from tilewright.compiler.cli.options import examples
from tilewright.compiler.cli.probe import TargetReport
from tilewright.compiler.cli.tables import console
from tilewright.compiler.targets import NAMES

_PROBE_SECONDS = 60


@click.command(
    short_help="What can run here, and what is missing.",
    epilog=examples("tilewright targets", "tilewright targets --json > report.json"),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for bug reports.")
def targets(as_json: bool) -> None:
    """Show every target: usable here or not, the device found, what to install if not."""
    reports = probe_all()
    if as_json:
        document = {"environment": environment(), "targets": [to_builtins(r) for r in reports]}
        click.echo(json.dumps(document, indent=2))
        return
    _print(reports)


def probe_all() -> list[TargetReport]:
    """A report for every target. Each is tried in a process of its own, all at the same time: a
    broken driver may crash or hang instead of raising."""
    from tilewright.compiler.runtime import runtime

    choice = encode(runtime().device_choice).decode()
    command = [sys.executable, "-m", "tilewright.compiler.cli.probe"]
    probes = [
        subprocess.Popen(
            [*command, n, choice], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for n in NAMES
    ]
    return [_finished(name, probe) for name, probe in zip(NAMES, probes, strict=True)]


def _finished(name: str, probe: subprocess.Popen[str]) -> TargetReport:
    try:
        output, errors = probe.communicate(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.communicate()
        return _broken(name, f"opening it took longer than {_PROBE_SECONDS} s")
    except BaseException:  # Ctrl-C: leave no process behind
        probe.kill()
        raise
    lines = output.splitlines()
    if probe.returncode == 0 and lines:
        return TargetReport(**json.loads(lines[-1]))  # drivers may print before it
    if probe.returncode < 0:
        return _broken(name, f"its driver crashed with {signal.Signals(-probe.returncode).name}")
    return _broken(name, (errors.strip().splitlines() or ["the probe failed"])[-1])


def _broken(name: str, problem: str) -> TargetReport:
    return TargetReport(name, False, problem=problem, help="update or reinstall the driver")


def _print(reports: list[TargetReport]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("target", "here", "device"):
        table.add_column(title, overflow="fold")
    for report in reports:
        state = "[green]yes[/]" if report.usable else "[red]no[/]"
        table.add_row(f"[bold]{report.name}[/]", state, _description(report))
    console().print(table)


def _description(report: TargetReport) -> str:
    from rich.markup import escape

    if report.usable:
        return "\n".join([escape(report.device), *(f"[dim]{escape(f)}[/]" for f in report.facts)])
    advice = [f"[yellow]{escape(report.help)}[/]"] if report.help else []
    return "\n".join([escape(report.problem), *advice])


__all__ = ["probe_all", "targets"]
