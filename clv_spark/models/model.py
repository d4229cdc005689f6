"""What a model tells the fitter about itself: its letters, its likelihood, where to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from numpy.typing import ArrayLike

from clv_spark.models.arrays import Columns, Floats

# Parameters -> (mean log-likelihood per customer, its gradient by the logarithms of parameters).
Evaluate: TypeAlias = Callable[[Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Model:
    """One model, as the registry holds it.

    Attributes:
        name: Its key in the registry and in tables.
        parameters: Names of its parameters, all positive, in the order of the arrays below.
        read: Checks the data and returns the columns of the fit; raises InputError.
        likelihood: Prepares the mean weighted log-likelihood of columns and weights.
        starts: Starting points from moments of the data, best guess first.
        box: Lowest and highest values of the search; who touches them is not identified.
        caveat: Why a fit can't be used although it converged; empty when it can.
        coarsen: Rounds the columns so that many rows become equal, for a first fit of large data;
            None when that does not pay.
    """

    name: str
    parameters: tuple[str, ...]
    read: Callable[[Mapping[str, ArrayLike]], Columns]
    likelihood: Callable[[Columns, Floats], Evaluate]
    starts: Callable[[Columns, Floats], list[Floats]]
    box: Callable[[Columns, Floats], tuple[Floats, Floats]]
    caveat: Callable[[Columns, Mapping[str, float]], str]
    coarsen: Callable[[Columns], Columns] | None = None
