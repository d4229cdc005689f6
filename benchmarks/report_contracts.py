"""The part of the page about contracts."""

from __future__ import annotations

from typing import Any

from report_models import circumstances

CONTRACTS = """## Contracts

The whole job on contracts, from Parquet to scores, on an empty lake: contracts, features, fit,
scores of contracts and customers, metrics and forecast. Sizes stand side by side. Memory is the
largest sum of resident memory over all processes; pages shared by processes count once for each.
Processor seconds are those of all processes. On a machine that others use as well they say more
than seconds.

The stage `model_parameters` counts patterns, which grows with the contracts, and fits those; the
fits alone, of two models to all segments, are timed on the patterns of the run.
"""


def contracts_section(entries: list[dict[str, Any]]) -> str:
    """Return what the page says of the runs on contracts, one column per size."""
    heads = [f"{entry['contracts'] / 1e6:,.1f} million contracts" for entry in entries]
    rows = [
        ("customers", [f"{entry['customers']:,}" for entry in entries]),
        ("rows of contracts", [f"{entry['rows']:,}" for entry in entries]),
        *(
            (f"{name}, s", [f"{entry['stages'][name]:,.1f}" for entry in entries])
            for name in entries[0]["stages"]
        ),
        ("**all stages, s**", [f"{entry['seconds']:,.1f}" for entry in entries]),
        ("processor seconds", [f"{entry['processor_s']:,.0f}" for entry in entries]),
        ("contracts per second", _rates(entries, "seconds")),
        ("contracts per processor second", _rates(entries, "processor_s")),
        ("peak memory, MB", [f"{entry['peak_mb']:,}" for entry in entries]),
        ("patterns", [f"{entry['patterns']:,}" for entry in entries]),
        ("the fits alone, s", [f"{entry['fit_s']:.2f}" for entry in entries]),
    ]
    lines = [f"| | {' | '.join(heads)} |", f"|---{'|--:' * len(entries)}|"]
    lines += [f"| {title} | {' | '.join(values)} |" for title, values in rows]
    return "\n".join([CONTRACTS, *lines, "", *map(circumstances, entries)])


def _rates(entries: list[dict[str, Any]], of: str) -> list[str]:
    return [f"{entry['contracts'] / entry[of]:,.0f}" for entry in entries]
