"""Models of customer behaviour as plain functions of arrays: numpy and scipy, no Spark, no pandas.

Adding a model takes one file that defines ``MODEL`` and one line in the registry below.
"""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from clv_spark.errors import ConfigError
from clv_spark.models import bdw, bg_bb, bg_nbd, gamma_gamma, mbg_nbd, pareto_nbd, sbg
from clv_spark.models.fitting import FitResult, fit_model
from clv_spark.models.model import ContractModel, Model, PurchaseModel

__all__ = [
    "CONTRACT_MODELS",
    "MODELS",
    "PURCHASE_MODELS",
    "FitResult",
    "bdw",
    "bg_bb",
    "bg_nbd",
    "fit",
    "gamma_gamma",
    "mbg_nbd",
    "pareto_nbd",
    "sbg",
]

# Models of purchases are known as modules, since their functions make the forecasts.
PURCHASE_MODELS: dict[str, PurchaseModel] = {
    "bg_nbd": bg_nbd,
    "mbg_nbd": mbg_nbd,
    "pareto_nbd": pareto_nbd,
    "bg_bb": bg_bb,
}
CONTRACT_MODELS: dict[str, ContractModel] = {"sbg": sbg, "bdw": bdw}
MODELS: dict[str, Model] = {
    **{name: module.MODEL for name, module in PURCHASE_MODELS.items()},
    "gamma_gamma": gamma_gamma.MODEL,
    **{name: module.MODEL for name, module in CONTRACT_MODELS.items()},
}


def fit(
    model: str,
    data: Mapping[str, ArrayLike],
    weights: ArrayLike | None = None,
    *,
    start: Mapping[str, float] | None = None,
) -> FitResult:
    """Finds the parameters under which the data are most likely.

    The result depends on the rows alone, not on their order, to the last bit.

    Args:
        model: A name in ``MODELS``.
        data: Columns by the letters of the papers: x, t_x, T for purchases; x, m_x and optionally
            log_m_x for gamma_gamma; entry, tenure, lost for contracts. Times in one unit, which
            becomes that of the parameters.
        weights: Customers behind each row; one each when left out.
        start: Parameters to start from, say those of an earlier fit.

    Returns:
        Parameters and diagnostics. Degenerate data give a status, never an exception.

    Raises:
        ConfigError: There is no such model.
        InputError: The data are of the wrong shape: missing columns, NaN, t_x > T and so on.

    Example:
        >>> x, t_x, T = [0, 1, 2, 1, 5, 9], [0, 10, 20, 2, 8, 30], [30, 30, 40, 40, 35, 33]
        >>> result = fit("bg_nbd", {"x": x, "t_x": t_x, "T": T}, weights=[60, 10, 5, 9, 4, 3])
        >>> result.status, {name: round(value, 2) for name, value in result.parameters.items()}
        ('ok', {'r': 0.16, 'alpha': 2.12, 'a': 0.65, 'b': 0.63})
    """
    if model not in MODELS:
        raise ConfigError(f"There is no model {model!r}; there are {sorted(MODELS)}.")
    return fit_model(MODELS[model], data, weights, start=start)
