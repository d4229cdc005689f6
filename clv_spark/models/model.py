"""What a model tells about itself: to the fitter its likelihood, to the rest what it forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from numpy.typing import ArrayLike

from clv_spark.models.arrays import Columns, Floats, Parameters

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
        counts_opportunities: Whether its time is a number of opportunities, whole ones, each with
            one purchase at most.
    """

    name: str
    parameters: tuple[str, ...]
    read: Callable[[Mapping[str, ArrayLike]], Columns]
    likelihood: Callable[[Columns, Floats], Evaluate]
    starts: Callable[[Columns, Floats], list[Floats]]
    box: Callable[[Columns, Floats], tuple[Floats, Floats]]
    caveat: Callable[[Columns, Mapping[str, float]], str]
    coarsen: Callable[[Columns], Columns] | None = None
    counts_opportunities: bool = False


@dataclass(frozen=True)
class Forecast:
    """What customers will buy who are alive today, one row per horizon, one column per customer.

    D is the sum over the purchases of (T, T + time] of exp(-discount_rate s), s being the time
    ahead at which a purchase occurs.

    Attributes:
        expected: Expected purchases up to each time; shape (times, customers).
        none: Probability of no purchase up to each time; the same shape.
        discounted: E[D] up to each time; the same shape.
        discounted_square: E[D^2] up to each time; the same shape.
        residual: E[D] without horizon, one value per customer; None when discount_rate is zero
            or nobody asks for it.
    """

    expected: Floats
    none: Floats
    discounted: Floats
    discounted_square: Floats
    residual: Floats | None


class PurchaseModel(Protocol):
    """What the module of every purchase model offers; all times in the unit of the parameters.

    Every function takes parameters by the papers' letters, each a float or one value per customer,
    broadcasts its arguments, and returns finite numbers for whatever a fit may give it.
    """

    MODEL: Model

    def log_likelihood(
        self, params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Floats:
        """How well the parameters explain each customer's purchases."""

    def probability_alive(
        self, params: Parameters, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, t: ArrayLike = 0.0
    ) -> Floats:
        """Probability of still being a customer at T + t, given the past up to T."""

    def expected_purchases(
        self, params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Expected purchases in (T, T + t], given the past (CET)."""

    def expected_purchases_new(self, params: Parameters, t: ArrayLike) -> Floats:
        """Expected repeat purchases of a new customer in (0, t]."""

    def purchases_pmf(
        self,
        params: Parameters,
        t: ArrayLike,
        n: ArrayLike,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
    ) -> Floats:
        """Probability of exactly n purchases in (T, T + t], given the past."""

    def purchases_pmf_new(self, params: Parameters, t: ArrayLike, n: ArrayLike) -> Floats:
        """Probability that a new customer makes exactly n repeat purchases in (0, t]."""

    def probability_active(
        self, params: Parameters, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Probability of at least one purchase in (T, T + t], given the past."""

    def discounted_expected_purchases(
        self,
        params: Parameters,
        discount_rate: float,
        horizon: float,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
    ) -> Floats:
        """Expected purchases, each weighed by exp(-discount_rate s); DERT at infinite horizon."""

    def purchase_interval(self, params: Parameters, x: ArrayLike, t_x: ArrayLike) -> Floats:
        """Expected time between two purchases of a customer, as known at the last one."""

    def forecast_if_alive(
        self,
        params: Parameters,
        times: Sequence[float],
        discount_rate: float,
        x: Floats,
        T: Floats,
        *,
        endless: bool = True,
    ) -> Forecast:
        """The forecast of customers who are alive at T; its residual only if ``endless``."""

    def staying_if_alive(
        self, params: Parameters, times: Sequence[float], x: Floats, T: Floats
    ) -> Floats:
        """Probability that who is alive at T still is at T + time; shape (times, customers)."""


class ContractModel(Protocol):
    """What the module of every contract model offers; all times in whole periods."""

    MODEL: Model

    def log_survival(self, params: Parameters, t: ArrayLike) -> Floats:
        """The logarithm of the probability that a new contract survives t periods."""
