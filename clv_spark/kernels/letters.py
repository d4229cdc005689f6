"""A row's parameters in the order of its model's letters."""

from __future__ import annotations

from collections.abc import Mapping

from clv_spark.models import MODELS


def in_order(model: str, parameters: Mapping[str, float]) -> dict[str, float]:
    """The same parameters as the model counts them; a map from Spark has lost that order.

    Example:
        >>> in_order("sbg", {"beta": 6.0, "alpha": 0.7})
        {'alpha': 0.7, 'beta': 6.0}
    """
    return {letter: parameters[letter] for letter in MODELS[model].parameters}
