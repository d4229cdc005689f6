"""What the settings say of a new customer's future reaches the curves."""

from __future__ import annotations

import pytest

from clv_spark.config import Config
from clv_spark.economics import ServiceRates
from clv_spark.kernels.event_rates import ServiceCosts
from clv_spark.kernels.new_value import NewValue
from clv_spark.pipelines import outlooks
from tests.kernels.worlds import contracts, segment

NO_COSTS = ServiceCosts(ServiceRates())


def of_customers(config: Config) -> NewValue:
    (value,) = outlooks._customer_values(config, segment(), NO_COSTS)["base"]
    return value


def of_contracts(config: Config) -> NewValue:
    return outlooks._contract_values(config, contracts(), (30.0, 0.4), NO_COSTS)["base"]


@pytest.mark.parametrize("values", [of_customers, of_contracts])
@pytest.mark.parametrize(("target", "end"), [(365, 1095), (2000, 2000)])
def test_the_curve_of_a_new_customer_reaches_the_target_of_payback(values, target, end) -> None:
    costs = {"acquisition": {"target_payback_days": target}}
    assert values(Config.model_validate({"costs": costs})).days[-1] == end
