"""The value of a segment's contracts together, under draws of the parameters they share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv_spark.kernels.contract_forecasts import (
    DRAWS,
    LONGEST,
    Outlook,
    discounted_sums,
    renewals_within,
    survival_draws,
)
from clv_spark.kernels.contract_parameters import ContractParameters
from clv_spark.kernels.sum_segment import SegmentSum


def sum_contracts(
    rows: pd.DataFrame, parameters: ContractParameters, outlook: Outlook
) -> SegmentSum:
    """Adds up the contracts of a segment and period, under the fit and under draws around it.

    Args:
        rows: The rows of ``transforms.contract_sums.value_sums`` of one segment and period, in any
            order.
        parameters: Of the segment and period; its values are known.
        outlook: Horizon and discount rate.
    """
    rows = rows.sort_values(["tenure", "days_to_renewal", "period_days"])
    period, v = parameters.period, outlook.weight(parameters.period)
    most = outlook.most_renewals(period)
    mean, variance = np.zeros(DRAWS), np.zeros(DRAWS)
    for tenure, ours in rows.groupby("tenure", sort=True):
        phase = (ours["days_to_renewal"] / ours["period_days"]).to_numpy(np.float64)
        count = renewals_within(outlook.horizon_days, period, np.clip(phase, 0.0, 1.0))
        # However small the error of the parameters, all contracts share it: of many it is the
        # larger part, as their own chances even out.
        sets = survival_draws(parameters, most, min(int(str(tenure)), LONGEST), DRAWS)
        first, second = discounted_sums(sets[1:], v)
        ahead = v**phase
        one, square = ahead * first[:, count], ahead**2 * second[:, count]
        # Written out: a matrix product may round differently for another number of rows.
        mean = mean + np.sum(one * ours["margin"].to_numpy(np.float64), axis=-1)
        spread = np.maximum(square - one**2, 0.0) * ours["margin_2"].to_numpy(np.float64)
        variance = variance + np.sum(spread, axis=-1)
    return SegmentSum(
        segment=str(rows["segment"].iloc[0]),
        customers=float(rows["contracts"].sum()),
        active=float(rows["active"].sum()),
        clv=float(rows["clv"].sum()),
        mean=mean.tolist(),
        variance=variance.tolist(),
    )
