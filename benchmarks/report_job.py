"""The whole job beside its peer and beside what no job can do without, row by row."""

from __future__ import annotations

from typing import Any

# Our stages of each row. Spark reads and folds the lines in one step.
STAGES: dict[str, tuple[str, ...]] = {
    "read": (),
    "customer-days": ("customer_days",),
    "features": ("customer_features", "revenue_history", "cohort_history"),
    "fit": ("model_parameters",),
    "score": ("clv_scores",),
    "write": ("clv_scores_latest",),
}
TO_FEATURES = ("read", "customer-days", "features")
READ = "lines, read"
# The steps of limits.py of each row, by column.
LIMITS: dict[str, dict[str, tuple[str, ...]]] = {
    "Spark alone, s": {
        "read": (READ,),
        "customer-days": (
            "lines, read and folded to customers' days",
            "customer_days, read and written again",
        ),
        "features": ("customer_features, read and written again",),
        "score": ("clv_scores, read and written again",),
        "write": ("clv_scores_latest, read and written again",),
    },
    "bytes alone, s": {
        "read": ("lines, bytes read",),
        "customer-days": ("customer_days, bytes copied",),
        "features": ("customer_features, bytes copied",),
        "score": ("clv_scores, bytes copied",),
        "write": ("clv_scores_latest, bytes copied",),
    },
}
TOTAL = "**total**"
NONE = "-"


def table(entry: dict[str, Any]) -> str:
    """Return the comparison of one result as a Markdown table."""
    ours, peer = entry["ours"], entry["peer_result"]
    columns = [_limits(entry.get("limits", {}), steps) for steps in LIMITS.values()]
    heads = [head for head, column in zip(LIMITS, columns, strict=True) if column]
    lines = [f"| {' | '.join(['stage', 'ours, s', 'peer, s', 'ratio', *heads])} |"]
    lines.append(f"|---{'|--:' * (3 + len(heads))}|")
    for title, cells in _rows(ours, peer).items():
        limits = [column.get(title, NONE) for column in columns if column]
        lines.append(f"| {' | '.join([title, *cells, *limits])} |")
    return "\n".join(lines)


def words(entry: dict[str, Any]) -> str:
    """Return what the table does not say: lines to features as one, and Spark's total."""
    ours, peer = entry["ours"]["stages"], entry["peer_result"]
    mine = sum(ours.get(stage, 0.0) for title in TO_FEATURES for stage in STAGES[title])
    theirs = peer["stages"]["features"]
    said = [
        f"From lines to features: ours {mine:.2f} s, the peer's one query {theirs:.2f} s, "
        f"ratio {mine / theirs:.2f}."
    ]
    if "apart" in peer:
        said.append(
            "The peer's read, customer-days and features are queries of their own, measured apart, "
            "so that the rows add up to more than the total."
        )
    if "limits" in entry:
        needed = _needed(entry["limits"], LIMITS["Spark alone, s"])
        said.append(f"Spark alone needs {needed / peer['total']:.2f} times the peer's total.")
    return " ".join(said)


def _rows(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, list[str]]:
    """Our seconds, the peer's and the ratio, of every row."""
    theirs = {**dict.fromkeys(STAGES), **peer["stages"], "features": None, **peer.get("apart", {})}
    mine = {title: sum(ours["stages"].get(one, 0.0) for one in of) for title, of in STAGES.items()}
    rest = ours["total"] - sum(mine.values())
    return {
        **{title: _cells(seconds, theirs[title]) for title, seconds in mine.items()},
        "read": ["in customer-days", _shown(theirs["read"]), NONE],
        "everything else": _cells(rest, None),
        TOTAL: _cells(ours["total"], peer["total"]),
        "start and stop, apart": _cells(ours["start"], peer["start"]),
        "peak memory, MB": _cells(ours["peak_mb"], peer["peak_mb"], digits=0),
    }


def _limits(limits: dict[str, float], steps: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """One column of limits and its total; nothing where these were not measured."""
    if steps["read"][0] not in limits:
        return {}
    rows = {title: sum(limits[one] for one in of) for title, of in steps.items()}
    rows[TOTAL] = _needed(limits, steps)
    return {title: _shown(seconds) for title, seconds in rows.items()}


def _needed(limits: dict[str, float], steps: dict[str, tuple[str, ...]]) -> float:
    """The seconds of all steps but Spark's reading: to fold the lines is to read them too."""
    return sum(limits[one] for of in steps.values() for one in of if one != READ)


def _cells(ours: float, peer: float | None, digits: int = 2) -> list[str]:
    ratio = f"{ours / peer:.2f}" if peer else NONE
    return [_shown(ours, digits), _shown(peer, digits), ratio]


def _shown(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:.{digits}f}"
