"""Tables and plots of bench/results.json, into docs/benchmarks.

    write_results(results); write_report(results, "docs/benchmarks")

A ratio is taken within a round, ours to Postfix's; its median and range are over the rounds.
"""

import json
import os
import statistics
from dataclasses import dataclass
from typing import Any

from bench.scenarios import OUTWARD, SCENARIOS, Scenario

Results = dict[str, Any]
OURS, THEIRS = "IndiMail", "Postfix"
FILE = os.path.join(os.path.dirname(__file__), "results.json")
# Title, where the figure is, unit, and the most it may be.
LIMITS = (
    ("idle server, PSS", "idle", "idle_mib", "MiB", 120.0),
    ("an idle connection, PSS", "idle", "session_kib", "KiB", 30.0),
    ("ten mails of 100 MB at once, PSS rise", "stream", "pss_rise_mib", "MiB", 32.0),
    ("a NOOP beside them, 99th percentile", "stream", "noop_p99_ms", "ms", 50.0),
    ("a NOOP while fifty clients log in, 99th percentile", "logins", "noop_p99_ms", "ms", 50.0),
    ("100,000 deferred, ready after", "deferred", "ready_seconds", "s", 10.0),
    ("100,000 deferred, CPU per mail", "deferred", "cpu_ratio", "times", 1.10),
    ("100,000 deferred, PSS rise", "deferred", "pss_rise_mib", "MiB", 16.0),
    ("100,000 due at once, a new mail in", "deferred", "new_mail_seconds", "s", 2.0),
    ("deliveries as another user, CPU per mail", "residents", "cpu_ratio", "times", 1.5),
    ("programs that hang, flood, fork, eat: mail beside", "programs", "beside_seconds", "s", 1.0),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and range of one figure over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        ends = f"{self.least:,.{digits}f} to {self.most:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({ends})"


def write_results(results: Results) -> None:
    """Write every figure there is so far."""
    with open(FILE, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def spread(results: Results, scenario: Scenario, server: str, figure: str) -> Spread | None:
    """Return one server's figure over the rounds."""
    values = list(_by_round(results, scenario, server, figure).values())
    return Spread.of(values) if values else None


def ratio(results: Results, scenario: Scenario, figure: str) -> Spread | None:
    """Return ours divided by Postfix's, round by round."""
    ours = _by_round(results, scenario, OURS, figure)
    theirs = _by_round(results, scenario, THEIRS, figure)
    values = [ours[number] / theirs[number] for number in ours if number in theirs]
    return Spread.of(values) if values else None


def _by_round(results: Results, scenario: Scenario, server: str, figure: str) -> dict[int, float]:
    return {
        run["round"]: run[figure]
        for run in results["runs"]
        if run["scenario"] == scenario.name and run["server"] == server
    }


def tables(results: Results, scenarios: tuple[Scenario, ...] = SCENARIOS + OUTWARD) -> str:
    """Return all tables as Markdown."""
    parts = [_rates(results, scenarios), _costs(results, scenarios)]
    if scenarios != OUTWARD:
        parts += [_limits(results), _syncs(results)]
    return "\n".join(part for part in [*parts, _facts(results)] if part)


def _rates(results: Results, scenarios: tuple[Scenario, ...]) -> str:
    head = f"## Finished deliveries a second\n\nMedian and range over the rounds ({results['rounds']}).\n\n"
    head += "| load | IndiMail | Postfix | ratio | floor | |\n|---|---|---|---|---|---|\n"
    return head + _rows(results, scenarios, "rate", lambda s: s.rate, "at least", 1.0, 0)


def _costs(results: Results, scenarios: tuple[Scenario, ...]) -> str:
    head = "## CPU time of a mail, whole process tree, in microseconds\n\n"
    head += "| load | IndiMail | Postfix | ratio | bar | |\n|---|---|---|---|---|---|\n"
    return head + _rows(results, scenarios, "cpu_per_mail", lambda s: s.cpu, "at most", 1e6, 0)


def _rows(
    results: Results, scenarios: tuple[Scenario, ...], figure: str, bar: Any, word: str,
    unit: float, digits: int,
) -> str:  # fmt: skip
    lines = []
    for scenario in scenarios:
        sides = [_scaled(spread(results, scenario, side, figure), unit) for side in (OURS, THEIRS)]
        if sides == [None, None]:
            continue
        found, wanted = ratio(results, scenario, figure), bar(scenario)
        mark = ""
        if found and wanted:
            reached = found.median >= wanted if word == "at least" else found.median <= wanted
            mark = "reached" if reached else "**not reached**"
        cells = [side.text(digits) if side else "" for side in sides]
        cells += [found.text(2) if found else "", f"{word} {wanted}" if wanted else "", mark]
        lines.append(f"| {scenario.title} | {' | '.join(cells)} |\n")
    return "".join(lines)


def _scaled(found: Spread | None, unit: float) -> Spread | None:
    return found and Spread(found.median * unit, found.least * unit, found.most * unit)


def _limits(results: Results) -> str:
    lines = []
    for title, part, figure, unit, most in LIMITS:
        if part in results:
            value = results[part][figure]
            mark = "reached" if value <= most else "**not reached**"
            lines.append(f"| {title} | {value:,.2f} {unit} | at most {most:g} {unit} | {mark} |\n")
    if not lines:
        return ""
    return "## Memory and a full queue\n\n| what | found | bar | |\n|---|---|---|---|\n" + "".join(
        lines
    )


def _syncs(results: Results) -> str:
    parts = []
    for server, calls in results.get("syncs", {}).items():
        rows = "".join(f"| `{call}` | {count} |\n" for call, count in calls.items())
        parts.append(f"### {server}\n\n| call | times |\n|---|---|\n{rows}")
    title = "## Syncs of 200 mails (and the warm-up's 100), seen by strace\n\n"
    return title + "\n".join(parts) if parts else ""


def _facts(results: Results) -> str:
    rows = "".join(
        f"| {name.replace('_', ' ')} | {_fact(value)} |\n"
        for name, value in results["machine"].items()
    )
    text = f"## Where\n\n| | |\n|---|---|\n{rows}"
    for server, differences in results.get("differences", {}).items():
        text += f"\n### {server}: what is not as shipped\n\n"
        text += "".join(f"- `{line}`\n" for line in differences)
    if "explained" in results:
        text += (
            f"\n`indimail explain` told the whole story of {results['explained']} random mails.\n"
        )
    return text


def _fact(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def write_report(results: Results, folder: str) -> None:
    """Write results.md and the plots, and outward.md, as far as there are figures for them."""
    os.makedirs(folder, exist_ok=True)
    outward = {scenario.name for scenario in OUTWARD}
    sent_on = [run for run in results["runs"] if run["scenario"] in outward]
    if sent_on:
        title = "# Mail for the next host, IndiMail and Postfix"
        _write(folder, "outward.md", title, tables(results, OUTWARD))
    if not results["runs"] or len(sent_on) < len(results["runs"]):
        plots = "".join(f"![{title}]({name}.png)\n\n" for name, title in plot(results, folder))
        title = "# IndiMail and Postfix, side by side"
        _write(folder, "results.md", title, plots + tables(results, SCENARIOS))


def _write(folder: str, name: str, title: str, text: str) -> None:
    origin = "Written by `make bench`; how it measures stands in [bench/README.md](../../bench/README.md)."
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(f"{title}\n\n{origin}\n\n{text}")


def write_users(results: Results, folder: str) -> None:
    """Write users.md: a hundred thousand users, known and unknown."""
    os.makedirs(folder, exist_ok=True)
    title = "# A hundred thousand users in each database"
    _write(folder, "users.md", title, users_tables(results) + "\n" + _facts(results))


def users_tables(results: Results) -> str:
    """Return the tables of rates, of ratios and of CPU time as Markdown."""
    found = results["users"]
    servers = list(dict.fromkeys(run["server"] for run in found["runs"]))
    rounds = found["rounds"]
    text = f"{found['users']:,} users; median and range over the rounds ({rounds}).\n"
    figures = [("Finished deliveries a second", "rate", 1.0)]
    figures.append(
        ("CPU time of a mail without the database's, in microseconds", "cpu_per_mail", 1e6)
    )
    for title, figure, unit in figures:
        text += f"\n## {title}\n\n| load | {' | '.join(servers)} |\n|---|{'---|' * len(servers)}\n"
        for scenario, cache in _loads(found):
            sides = [_of_users(found, scenario, cache, server, figure) for server in servers]
            cells = [Spread.of([v * unit for v in side.values()]).text() for side in sides]
            text += f"| {scenario} {cache} | {' | '.join(cells)} |\n"
    if THEIRS in servers:
        ours = [server for server in servers if server != THEIRS]
        text += "\n## Rate, ours to Postfix's\n\n"
        text += f"| load | {' | '.join(ours)} | floor |\n|---|{'---|' * len(ours)}---|\n"
        for scenario, cache in _loads(found):
            floor = next(s.rate for s in SCENARIOS if s.name == scenario)
            theirs = _of_users(found, scenario, cache, THEIRS, "rate")
            cells = []
            for server in ours:
                mine = _of_users(found, scenario, cache, server, "rate")
                ratios = Spread.of([mine[number] / theirs[number] for number in mine])
                cells.append(
                    ratios.text(2) + ("" if ratios.median >= floor else ", **not reached**")
                )
            text += f"| {scenario} {cache} | {' | '.join(cells)} | {floor} |\n"
    return text


def _loads(found: dict[str, Any]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((run["scenario"], run["cache"]) for run in found["runs"]))


def _of_users(
    found: dict[str, Any], scenario: str, cache: str, server: str, figure: str
) -> dict[int, float]:
    return {
        run["round"]: run[figure]
        for run in found["runs"]
        if (run["scenario"], run["cache"], run["server"]) == (scenario, cache, server)
    }


def plot(results: Results, folder: str) -> list[tuple[str, str]]:
    """Draw the plots that there are figures for and return their names and titles."""
    drawn = []
    wanted = (
        ("rate", "rate", "Finished deliveries a second (more is better)", 1.0),
        ("cpu", "cpu_per_mail", "CPU time of a mail, microseconds (less is better)", 1e6),
    )
    for name, figure, title, unit in wanted:
        if _bars(results, figure, title, unit, os.path.join(folder, f"{name}.png")):
            drawn.append((name, title))
    return drawn


def _bars(results: Results, figure: str, title: str, unit: float, path: str) -> bool:
    import matplotlib as mpl  # noqa: PLC0415  a second to import, and only needed here

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [
        s for s in SCENARIOS + OUTWARD if any(run["scenario"] == s.name for run in results["runs"])
    ]
    if not shown:
        return False
    chart, axes = plt.subplots(figsize=(9, 0.7 * len(shown) + 1.5), layout="constrained")
    for offset, side, colour in ((-0.2, OURS, "#2a6f97"), (0.2, THEIRS, "#b5b5b5")):
        places, medians, below, above = [], [], [], []
        for place, scenario in enumerate(shown):
            found = _scaled(spread(results, scenario, side, figure), unit)
            if found:
                places.append(place + offset)
                medians.append(found.median)
                below.append(found.median - found.least)
                above.append(found.most - found.median)
        if not places:
            continue
        drawn = axes.barh(places, medians, 0.38, label=side, color=colour)
        axes.errorbar(medians, places, xerr=(below, above), fmt="none", ecolor="black", capsize=2)
        axes.bar_label(drawn, fmt="{:,.0f}", padding=8, fontsize=8)
    axes.set_yticks(range(len(shown)), [scenario.title for scenario in shown])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title(title, fontsize=11)
    axes.legend(loc="best", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    chart.savefig(path, dpi=120)
    plt.close(chart)
    return True
