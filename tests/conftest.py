"""Skips are named at the end, with the command that ends them; INDIMAIL_NO_SKIP=1 makes them fail.

Continuous integration sets the variable: there a skipped test is one that nobody runs.
"""

import os
import re
from collections.abc import Generator

import pytest

from support import MISSING, ROOT, STOPPED

_NO_SKIP = os.environ.get("INDIMAIL_NO_SKIP", "") not in ("", "0")


def _fail_a_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not _NO_SKIP or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped where nothing may be (INDIMAIL_NO_SKIP): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_a_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_a_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [str(report.longrepr) for report in reports]
    if wanted := _named(MISSING, reasons):
        command = "apt-get install --no-install-recommends " + " ".join(wanted)
        terminalreporter.write_line(f"To run what was skipped, as root: {command}")
    for service in _named(STOPPED, reasons):
        terminalreporter.write_line(f"To run what was skipped, as root: service {service} start")
    if any(ROOT in reason for reason in reasons):
        terminalreporter.write_line("To run what was skipped for want of root: sudo make test")


def _named(before: str, reasons: list[str]) -> list[str]:
    """Return the words that follow a text in the reasons, each once."""
    return sorted({name for r in reasons for name in re.findall(rf"{before}([\w.+-]+)", r)})
