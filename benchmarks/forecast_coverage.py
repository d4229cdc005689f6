"""How many months lie within the 80% bounds of revenue_forecast, in worlds with a known season.

    PYTHONPATH=. python benchmarks/forecast_coverage.py --worlds 60 --months 30

The worlds are those of tests/kernels/seasonal_worlds.py: simulated purchase by purchase, with a
season and a month's noise that no formula of the package has made. The result is a line of JSON per
model.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import pandas as pd

from tests.kernels.seasonal_worlds import PURCHASES, forecast_of, shop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--months", type=int, default=30, help="months that are known")
    parser.add_argument("--season", type=float, default=0.25, help="of logarithms of the index")
    parser.add_argument("--noise", type=float, default=0.05, help="of logarithms of months")
    options = parser.parse_args()
    for model in PURCHASES:
        found = []
        for seed in range(options.worlds):
            random = np.random.default_rng(1000 + seed)
            effects = np.exp(options.season * random.standard_normal(12))
            world = shop(
                seed,
                model,
                12 * effects / effects.sum(),
                months=options.months,
                noise=options.noise,
                first_month=seed % 12,
            )
            found.append(forecast_of(world, model))
        rows = pd.concat(found)
        sys.stdout.write(json.dumps(vars(options) | {"model": model} | judged(rows)) + "\n")


def judged(rows: pd.DataFrame) -> dict[str, float]:
    """Shares of months within, below and above the bounds; the error of the expected revenue."""
    actual, expected = rows["actual"], rows["expected_revenue"]
    below, above = actual < rows["revenue_low"], actual > rows["revenue_high"]
    numbers = {
        "within": 1 - (below | above).mean(),
        "below": below.mean(),
        "above": above.mean(),
        "mape": ((expected - actual).abs() / actual).mean(),
        "bias": expected.sum() / actual.sum() - 1,
    }
    return {name: round(float(value), 4) for name, value in numbers.items()}


if __name__ == "__main__":
    main()
