"""Ratios of sums per segment: the return rate, and the margin rate where margin is known."""

from __future__ import annotations

from collections.abc import Mapping

from clv_spark.economics.value import shrunk_rate
from clv_spark.kernels.choose import Row
from clv_spark.kernels.segment_parameters import MARGIN_RATE, RETURN_RATE
from clv_spark.kernels.segment_tree import Segment


def rate_rows(tree: Mapping[str, Segment], min_customers: int) -> list[Row]:
    """The rates of every segment, those of small ones leaning on the segment above.

    Of a small segment the return rate is the parent's, since each customer's own returns count
    beside it. The margin rate is drawn to the parent's by money: a segment that sold as much as
    the parent's mean customer counts half.

    Args:
        tree: What ``segment_tree`` gives, parents before children.
        min_customers: Customers a segment needs for rates of its own.

    Returns:
        model, segment, status, message, parameters (None: those of the parent), own_weight (None:
        as the parameters say) and n_customers, for ``take_parents``.

    Example:
        >>> sums = {"spenders": 0, "without_spend": 0, "refund": 0}
        >>> root = {"customers": 400, "gross": 40_000_00, "margin": 15_600_00, **sums}
        >>> malta = {"customers": 199, "gross": 19_900_00, "margin": 1_990_00, **sums}
        >>> tree = {"global": Segment("global", 0, None, root),
        ...         "malta": Segment("malta", 1, "global", malta)}
        >>> found = {row["segment"]: row for row in rate_rows(tree, 200)
        ...          if row["model"] == "margin_rate"}
        >>> round(found["malta"]["parameters"]["rate"], 4), round(found["malta"]["own_weight"], 3)
        (0.1014, 0.995)
    """
    rows = []
    margin_rates: dict[str, float] = {}
    for segment in tree.values():
        large = segment.totals["customers"] or 0
        large_enough = large >= min_customers or segment.parent is None
        rows.append(_returns(segment, enough=large_enough))
        if segment.totals["margin"] is not None:
            row = _margin(segment, tree, margin_rates, enough=large_enough)
            margin_rates[segment.name] = row["parameters"]["rate"]
            rows.append(row)
    return rows


def _returns(segment: Segment, *, enough: bool) -> Row:
    customers, gross, refund = _sums(segment)
    parameters = {
        "rate": _share(refund, gross),
        "prior_amount": max(gross, 0) / 100 / customers,
    }
    return _row(RETURN_RATE, segment, enough=enough) | {
        "parameters": parameters if enough else None
    }


def _margin(
    segment: Segment, tree: Mapping[str, Segment], above: Mapping[str, float], *, enough: bool
) -> Row:
    _, net = _net(segment)
    margin = segment.totals["margin"] or 0
    row = _row(MARGIN_RATE, segment, enough=enough)
    if segment.parent is None or (enough and net > 0):
        return row | {"parameters": {"rate": _share(margin, net)}}
    customers, sold = _net(tree[segment.parent])
    prior = sold / customers
    # Without a net sale the margin is no share of anything.
    rate = shrunk_rate(margin if net > 0 else 0, net, above[segment.parent], prior)
    return row | {
        "parameters": {"rate": float(rate)},
        "own_weight": net / (net + prior) if net > 0 else 0.0,
        "message": f"{row['message']}: drawn to '{segment.parent}', the more the less was sold",
    }


def _row(model: str, segment: Segment, *, enough: bool) -> Row:
    status, message = ("ok", "ratio of sums") if enough else ("too_small", "too few customers")
    return {
        "model": model,
        "segment": segment.name,
        "status": status,
        "message": message,
        "own_weight": None,
        "n_customers": segment.totals["customers"] or 0,
    }


def _sums(segment: Segment) -> tuple[int, int, int]:
    customers, gross, refund = (
        segment.totals[name] or 0 for name in ("customers", "gross", "refund")
    )
    return customers, gross, refund


def _net(segment: Segment) -> tuple[int, int]:
    customers, gross, refund = _sums(segment)
    return customers, max(gross - refund, 0)


def _share(part: int, whole: int) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0
