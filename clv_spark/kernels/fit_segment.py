"""Fits one model to one segment: many patterns in, one row of parameters and diagnostics out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv_spark.errors import ConfigError
from clv_spark.kernels.choose import Row, comparable_bic
from clv_spark.models import CONTRACT_MODELS, MODELS, PURCHASE_MODELS, FitResult, fit

Floats = NDArray[np.float64]

# What a fit is for; all of it or nothing.
ESTIMATES = ("parameters", "standard_errors", "covariance")
COLUMNS = (
    "segment",
    "model",
    *ESTIMATES,
    "log_likelihood",
    "bic",
    "comparable_bic",
    "n_customers",
    "n_patterns",
    "n_repeaters",
    "frequency_spend_correlation",
    "log_frequency_spend_correlation",
    "iterations",
    "gradient_norm",
    "condition_number",
    "bounds_touched",
    "status",
    "message",
)


def fit_segment(
    patterns: pd.DataFrame,
    *,
    model: str,
    unit_days: int,
    min_customers: int,
    min_repeaters: int,
    max_correlation: float,
) -> Row:
    """Fits a model to the patterns of one segment; whatever happens, the result is one row.

    A fit that goes wrong is a row with status "failed", so that one bad segment does not end the
    job. The row depends on the set of patterns alone, not on their order.

    Args:
        patterns: For purchases segment, frequency, recency, T (days), customers (how many
            customers share the pattern). For sbg and bdw segment, entry_tenure, tenure (periods),
            lost (0 or 1), customers (how many contracts). For gamma_gamma segment, frequency
            (purchases behind the mean, at least 1), monetary_value (mean spend, above zero),
            mean_log (mean of its logarithm), customers.
        model: A name in ``clv_spark.models.MODELS``.
        unit_days: Days per time unit of the parameters, for example 7.
        min_customers: Below this many customers nothing is fitted; not for gamma_gamma.
        min_repeaters: Below this many customers with a repeat purchase (or with a mean spend)
            nothing is fitted. For contracts: lost contracts; without any the fit itself says that
            nothing can be told.
        max_correlation: Beyond this correlation of the logarithms of frequency and spend, of
            either sign, the status of a spend fit says that spend depends on frequency.

    Returns:
        One row with ``COLUMNS``. Status is one of ``USABLE``, "too_small", "degenerate",
        "not_identified" or "failed"; parameters are None unless it is usable, and numbers not
        known are None.

    Raises:
        ConfigError: There is no such model.

    Example:
        >>> patterns = pd.DataFrame({"segment": ["uk"], "frequency": [1], "recency": [7], "T": [70],
        ...     "customers": [3]})
        >>> row = fit_segment(patterns, model="bg_nbd", unit_days=7, min_customers=200,
        ...     min_repeaters=2, max_correlation=0.3)
        >>> row["status"], row["message"]
        ('too_small', '3 customers, 200 needed')
    """
    if model not in MODELS:
        raise ConfigError(f"There is no model {model!r}; there are {sorted(MODELS)}.")
    row: Row = {**dict.fromkeys(COLUMNS), "model": model, "status": "failed"}
    try:
        row["segment"] = str(patterns["segment"].iloc[0])
        row |= _counts(patterns, model)
        too_small = _too_small(row, model, min_customers, min_repeaters)
        if too_small:
            row |= {"status": "too_small", "message": too_small}
        else:
            weights = patterns["customers"].to_numpy(np.float64)
            row |= _outcome(fit(model, letters(patterns, model, unit_days), weights), row)
            row |= _comparable(row, patterns, model, unit_days)
            row |= _dependence(row, max_correlation)
    except Exception as error:
        # A MemoryError is the executor's trouble, not the segment's: Spark has to see it.
        if isinstance(error, MemoryError):
            raise
        row |= {**dict.fromkeys(ESTIMATES), "status": "failed", "message": in_words(error)}
    return row


def as_frame(row: Mapping[str, object]) -> pd.DataFrame:
    """One row for Spark; objects throughout, as a column of one None would turn into a NaN."""
    return pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in row.items()})


def letters(patterns: pd.DataFrame, model: str, unit_days: int) -> dict[str, Floats]:
    """Renames table columns to the letters of the papers; days become time units here only."""
    if model in CONTRACT_MODELS:
        names = {"entry": "entry_tenure", "tenure": "tenure", "lost": "lost"}
        return {name: patterns[column].to_numpy(np.float64) for name, column in names.items()}
    x = patterns["frequency"].to_numpy(np.float64)
    if model == "gamma_gamma":
        m_x = patterns["monetary_value"].to_numpy(np.float64)
        return {"x": x, "m_x": m_x, "log_m_x": patterns["mean_log"].to_numpy(np.float64)}
    t_x, T = (patterns[name].to_numpy(np.float64) / unit_days for name in ("recency", "T"))
    return {"x": x, "t_x": t_x, "T": T}


def _counts(patterns: pd.DataFrame, model: str) -> Row:
    customers = patterns["customers"]
    counted = patterns["lost" if model in CONTRACT_MODELS else "frequency"] > 0
    counts: Row = {
        "n_customers": int(customers.sum()),
        "n_patterns": len(patterns),
        "n_repeaters": int(customers[counted].sum()),
    }
    if model == "gamma_gamma":
        names = ["frequency", "monetary_value", "customers"]
        x, m_x, weights = (patterns.sort_values(names)[name].to_numpy(np.float64) for name in names)
        # What has no logarithm the fit refuses, and says so.
        with np.errstate(divide="ignore", invalid="ignore"):
            counts["frequency_spend_correlation"] = _correlation(x, m_x, weights)
            # A few huge orders hide a dependence among all others; logarithms show it.
            logs = _correlation(np.log(x), np.log(m_x), weights)
            counts["log_frequency_spend_correlation"] = logs
    return counts


def _correlation(x: Floats, m_x: Floats, weights: Floats) -> float | None:
    """Weighted Pearson correlation; gamma-gamma supposes that it is about zero."""
    total = np.sum(weights)
    if not total > 0:
        return None
    x, m_x = x - np.sum(weights * x) / total, m_x - np.sum(weights * m_x) / total
    spread = math.sqrt(float(np.sum(weights * x * x))) * math.sqrt(
        float(np.sum(weights * m_x * m_x))
    )
    return _number(float(np.sum(weights * x * m_x)) / spread) if spread > 0 else None


def _too_small(row: Row, model: str, min_customers: int, min_repeaters: int) -> str:
    needs = {"n_customers": min_customers, "n_repeaters": min_repeaters}
    if model == "gamma_gamma":
        del needs["n_customers"]
    repeats = "customers with a repeat purchase"
    if model == "gamma_gamma":
        # On all purchase days one purchase is enough for a mean.
        repeats = "customers with a mean spend"
    words = {"n_customers": "customers", "n_repeaters": repeats}
    if model in CONTRACT_MODELS:
        words = {"n_customers": "contracts", "n_repeaters": "lost contracts"}
        # Where nobody is lost, more contracts would not help: the fit says so.
        needs["n_repeaters"] = min_repeaters if row["n_repeaters"] else 0
    short = [
        f"{row[name]} {words[name]}, {need} needed"
        for name, need in needs.items()
        if row[name] < need
    ]
    return "; ".join(short)


def _comparable(row: Row, patterns: pd.DataFrame, model: str, unit_days: int) -> Row:
    if model in CONTRACT_MODELS:
        # Probabilities of whole periods: those of one segment compare as they are.
        return {"comparable_bic": row["bic"]}
    if model not in PURCHASE_MODELS or row["bic"] is None:
        return {}
    purchases = int((patterns["customers"] * patterns["frequency"]).sum())
    return {"comparable_bic": comparable_bic(row["bic"], purchases, unit_days)}


def _dependence(row: Row, max_correlation: float) -> Row:
    found = row["log_frequency_spend_correlation"]
    if row["status"] != "ok" or found is None or abs(found) <= max_correlation:
        return {}
    return {
        "status": "spend_depends_on_frequency",
        "message": f"{row['message']} Logarithms of frequency and spend correlate by {found:.2f}, "
        "which the model takes for 0: the spend of frequent buyers is off in one direction.",
    }


def _outcome(result: FitResult, row: Row) -> Row:
    customers = float(row["n_customers"])
    bic = len(result.parameters) * math.log(customers) - 2 * result.log_likelihood
    usable = result.status == "ok"
    return {
        "parameters": result.parameters if usable else None,
        "standard_errors": result.standard_errors if usable else None,
        "covariance": flat(result.covariance) if usable else None,
        "log_likelihood": _number(result.log_likelihood),
        "bic": _number(bic),
        "iterations": result.iterations,
        "gradient_norm": _number(result.gradient_norm),
        "condition_number": _number(result.condition_number),
        "bounds_touched": list(result.bounds_touched),
        "status": result.status,
        "message": result.message,
    }


def flat(matrix: Sequence[Sequence[float]]) -> list[float]:
    """A matrix row by row, as the tables hold it."""
    return [value for row in matrix for value in row]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def in_words(error: Exception) -> str:
    """An error as a message of the table."""
    # Messages of our own errors hold no data; those of libraries may quote a value.
    from_us = type(error).__module__.startswith("clv_spark.")
    return f"{type(error).__name__}: {error}" if from_us else type(error).__name__
