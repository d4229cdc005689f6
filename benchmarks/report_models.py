"""The parts of the page about fits and about scoring."""

from __future__ import annotations

from typing import Any

# A difference of mean log-likelihoods below this counts as none: that is what doubles can tell.
EQUAL_FITS = 1e-12

FITS = """## Fits

{customers} customers who came on any day of three years, in whole days, drawn from each model's
own world (`benchmarks/worlds.py`); times in weeks. Every fit runs in a process of its own after a
small one that warms it up; of {rounds} rounds ours keeps its fastest, lifetimes has one. "Rows" is
one row per customer, which is what lifetimes is given; "patterns" are the same customers, counted,
which is what the pipeline hands to a fit; to count them is not part of it. The difference of
log-likelihoods per customer is ours minus that of lifetimes, both worked out by the same code:
above zero ours is the better optimum.
"""

SCORING = """## Scoring

The scoring stage alone, from a Delta table to nothing (`noop`): all columns of `clv_scores` that
follow from a customer's features and the parameters, intervals included. Not among them are those
that Spark works out afterwards, for all customers together: costs to serve, ranks and tiers, stages
of life and actions. What these cost is part of `ranks` and of `clv_scores` in the tables of parts
above.

The first scoring of a session starts Python workers that know no forecast yet, in a Java that has
compiled nothing yet; the later ones are nearer to what a large table costs. The transport is the
same with a kernel that hands over columns of the same types without working anything out. With
many segments the stage first brings the customers of each together, which is part of both.

The column "at most" is not measured: it is what the processor time would allow if all cores did
nothing else and were never idle.

The kernel alone runs in one process without Spark, its processor time is given by group of columns.
The first time over the customers it works out the forecasts of all pairs of frequency and age,
which every worker does once; the second time it knows them.
"""
# Which columns a part of the kernel is for.
FORECASTS = (
    "p_active_365d",
    "expected_purchases_30d",
    "expected_purchases_90d",
    "expected_purchases_365d",
    "clv",
    "residual_clv",
)
BOUNDS = ("clv_low", "clv_high")
PART_COLUMNS = {
    "P(alive)": ("p_alive",),
    "own rhythm": ("purchase_interval_days", "next_purchase_date"),
    "forecasts, looked up": FORECASTS,
    "forecasts, worked out": FORECASTS,
    "parameter uncertainty": BOUNDS,
    "interval": BOUNDS,
    "spend and money": (
        "return_rate",
        "margin_rate",
        "expected_revenue_365d",
        "clv_revenue",
        "clv_margin",
        "historical_revenue",
        "historical_margin",
    ),
    "rest: segments, statuses, Arrow": ("segment", "score_status", "model", "expected_order_value"),
}

PARTS = """Task seconds (on two cores) and processor seconds of the JVM, without those of Python, by
part of the scoring stage; `clv_scores` is scoring itself with the write of the table, in the night
also the join with the slice before; `{draws}`, which gives sums of scores their intervals,
is scoring, too. `revenue_history` and `cohort_history` are stages of their own, from which the
forecast and the cohorts go on; cohorts are for the first date and ends of months. All others
together take {first} of scoring in task seconds in the first run, {night} in the night after and
{month} at the end of a month, when the lines of a day come late and move customers to an earlier
cohort.
"""
DRAWS = "sums_under_draws"
RUNS = {"first": "first run", "night": "night after", "month": "end of a month"}

ONE_SCORING = """### {customers} customers of {segments} segments, {model}, on {cores} cores
"""

KERNEL = """The kernel alone, batches of {batch} rows, {pairs} pairs of frequency and age, processor
time in microseconds a customer:
"""


def fits_section(entry: dict[str, Any]) -> str:
    """Return what the page says of one run of ``fits.py``."""
    lines = [FITS.format(customers=f"{entry['customers']:,}", rounds=entry["rounds"])]
    for model in dict.fromkeys(one["model"] for one in entry["fits"]):
        lines += _model([one for one in entry["fits"] if one["model"] == model], entry)
    return "\n".join([*lines, circumstances(entry), ""])


def _model(fits: list[dict[str, Any]], entry: dict[str, Any]) -> list[str]:
    peer = next(one for one in fits if one["side"] == "lifetimes")
    lines = [
        f"### {fits[0]['model']}\n",
        "| side | customers | input | rows of it | s | processor s | times faster | "
        "log-likelihood per customer, minus lifetimes' |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for one in fits:
        compared = one["customers"] == peer["customers"] and one is not peer
        faster = f"{peer['seconds'] / one['seconds']:.1f}" if compared else ""
        lines.append(
            f"| {one['side']} | {one['customers']:,} | {one['shape']} | {one['rows']:,} "
            f"| {one['seconds']:.2f} | {one['processor_seconds']:.2f} | {faster} "
            f"| {_gain(one, peer) if compared else ''} |"
        )
    sizes = {one["customers"]: one for one in fits if one["shape"] == "patterns"}
    large, usual = sizes.get(entry["large"]), sizes.get(entry["customers"])
    lines.append("")
    if large and usual and large is not usual:
        lines.append(
            f"{large['customers']:,} customers are {large['rows'] / usual['rows']:.1f} times the "
            f"patterns of {usual['customers']:,} and take "
            f"{large['seconds'] / usual['seconds']:.1f} times as long, "
            f"{large['processor_seconds'] / usual['processor_seconds']:.1f} times by processor "
            "time.\n"
        )
    if usual and peer["customers"] < entry["customers"]:
        guess = peer["seconds"] * entry["customers"] / peer["customers"]
        lines.append(
            f"lifetimes was run on {peer['customers']:,} customers, not on all. Extrapolated in "
            f"proportion to the rows, **not measured**, it would take about {guess:.0f} s for "
            f"{entry['customers']:,}, {guess / usual['seconds']:.0f} times ours on patterns.\n"
        )
    if peer["outcome"] != "converged":
        lines.append(f"lifetimes ended with {peer['outcome']} after the time given.\n")
    return lines


def _gain(one: dict[str, Any], peer: dict[str, Any]) -> str:
    if peer["log_likelihood_per_customer"] is None:
        return "no optimum of lifetimes"
    gain = one["log_likelihood_per_customer"] - peer["log_likelihood_per_customer"]
    return "0" if abs(gain) < EQUAL_FITS else f"{gain:+.1e}"


def scoring_words() -> str:
    """Return what the page says of all runs of ``scoring.py``."""
    rows = ["| part | columns |", "|---|---|"]
    for part, columns in PART_COLUMNS.items():
        rows.append(f"| {part} | {', '.join(f'`{name}`' for name in columns)} |")
    return "\n".join([SCORING, *rows, ""])


def scoring_section(entry: dict[str, Any]) -> str:
    """Return what the page says of one run of ``scoring.py``."""
    spark, kernel = entry["spark"], entry["kernel"]
    customers = entry["customers"]
    lines = [
        ONE_SCORING.format(
            customers=f"{customers:,}",
            segments=entry["segments"],
            model=entry["model"],
            cores=entry["cores"],
        ),
        "| run | s | processor s | customers per second | at most |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, run in spark.items():
        possible = entry["cores"] * customers / run["processor_seconds"]
        lines.append(
            f"| {name} | {run['seconds']:.1f} | {run['processor_seconds']:.1f} "
            f"| {customers / run['seconds']:,.0f} | {possible:,.0f} |"
        )
    lines += [
        "",
        KERNEL.format(batch=f"{entry['batch']:,}", pairs=f"{kernel['pairs']:,}"),
        "| part | first time | second time |",
        "|---|--:|--:|",
    ]
    parts = {"first": kernel["first"], "second": kernel["second"]}
    for part in sorted(parts["first"], key=lambda name: -parts["first"][name]):
        lines.append(
            f"| {part} | {parts['first'][part]:.2f} | {parts['second'].get(part, 0):.2f} |"
        )
    total = {name: sum(values.values()) for name, values in parts.items()}
    lines.append(f"| **all** | {total['first']:.2f} | {total['second']:.2f} |\n")
    return "\n".join([*lines, circumstances(entry), ""])


def parts_section(entry: dict[str, Any]) -> str:
    """Return what the page says of the parts of scoring in one run of ``stages.py``."""
    parts = entry["parts"]
    scoring = {"clv_scores", f"clv_scores.{DRAWS}"}
    sums = {when: {True: 0.0, False: 0.0} for when in RUNS}
    for name, found in parts.items():
        for when, cost in found.items():
            sums[when][name in scoring] += cost["task s"]
    shares = {when: f"{100 * both[False] / both[True]:.0f}%" for when, both in sums.items()}
    costs = ("task s", "cpu s")
    rows = []
    for name, found in parts.items():
        cells = [f"{found[r][c]:.0f}" if r in found else "" for r in RUNS for c in costs]
        rows.append(f"| {name.removeprefix('clv_scores.')} | {' | '.join(cells)} |")
    titles = " | ".join(f"{title}: task s | cpu s" for title in RUNS.values())
    lines = f"{entry['lines'] / 1e6:.0f} million lines, {entry['customers']:,} customers"
    return "\n".join(
        [
            f"### What actions, summary and forecast cost: {lines}\n",
            PARTS.format(draws=DRAWS, **shares),
            f"| part | {titles} |",
            f"|---{'|--:' * len(costs) * len(RUNS)}|",
            *rows,
            f"\n{circumstances(entry)}",
        ]
    )


def circumstances(entry: dict[str, Any]) -> str:
    """Return by which command, when and where a result came about."""
    load = f"load before {entry['load']}; " if "load" in entry else ""
    return (
        f"`{entry['command']}`, {entry['date']}\n\n{load}{entry['machine']}; {entry['versions']}\n"
    )
