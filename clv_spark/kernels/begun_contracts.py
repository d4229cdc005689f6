"""What contracts a new customer begins with, and what these cost, from sums over all contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clv_spark.kernels.contract_parameters import ContractKey


def contract_prices(rows: Sequence[Mapping[str, Any]]) -> dict[ContractKey, tuple[float, float]]:
    """Mean price of a period and margin per unit of it, by segment and period.

    Of the contracts that new customers began with; where there is none, of all that run.

    Args:
        rows: Those of ``transforms.contract_sums.new_contract_sums``.

    Example:
        >>> row = {"home": "a", "segment": "a", "period": "month", "new": 0, "running": 4,
        ...     "new_amount": 0.0, "new_margin": 0.0, "amount": 40.0, "margin": 20.0}
        >>> contract_prices([row])
        {('a', 'month'): (10.0, 0.5)}
    """
    found = {}
    for key in sorted({_key(row) for row in rows}):
        ours = [row for row in rows if _key(row) == key]
        new, running = (sum(row[name] for row in ours) for name in ("new", "running"))
        count, of = (new, "new_") if new else (running, "")
        if count:
            amount = sum(row[f"{of}amount"] for row in ours)
            margin = sum(row[f"{of}margin"] for row in ours)
            found[key] = (amount / count, margin / amount if amount else 0.0)
    return found


def contracts_of_a_customer(
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, dict[ContractKey, float]]:
    """How many contracts of each segment and period a new customer begins with.

    Args:
        rows: Those of ``transforms.contract_sums.new_contract_sums``.

    Returns:
        By the customer's segment. Where no customer came lately, what those have who have any.

    Example:
        >>> row = {"home": "a", "segment": "a", "period": "month", "new": 30, "running": 50,
        ...     "new_customers": 20, "customers": 40}
        >>> contracts_of_a_customer([row])
        {'a': {('a', 'month'): 1.5}}
    """
    found = {}
    for home in sorted({row["home"] for row in rows}):
        ours = [row for row in rows if row["home"] == home]
        new, having = (sum(row[name] for row in ours) for name in ("new_customers", "customers"))
        count, of = (new, "new") if new else (having, "running")
        if count:
            found[home] = {_key(row): row[of] / count for row in ours if row[of]}
    return found


def _key(row: Mapping[str, Any]) -> ContractKey:
    return row["segment"], row["period"]
