"""Section what_if: scenarios whose effect on value, CLV : CAC and payback is told per segment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from clv_spark.config.section import Section

# What the table calls the world as it is.
BASE = "base"

Money = Annotated[float, Field(allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, le=100)]
CostFactor = Annotated[float, Field(ge=0, le=100)]


class Scenario(Section):
    """What is other than in the base; what is left out is as it is.

    Attributes:
        margin_rate: Points added to the margin rate.
        order_value: Factor on the value of every order, at the same margin rate.
        price: Factor on prices; as many are sold, and the whole rise is margin.
        churn: Factor on the rate at which every customer leaves from now on.
        service_cost: Factor on all service cost.
        service_cost_by_kind: Factor on what service events of a kind cost, such as calls.
        service_cost_per_purchase: Money added to the service cost of a purchase day.
        service_cost_per_year: Money added to the service cost of a year.
        cac: Factor on the acquisition cost.
    """

    margin_rate: float = Field(default=0.0, ge=-1, le=1)
    order_value: Factor = 1.0
    price: Factor = 1.0
    churn: Factor = 1.0
    service_cost: CostFactor = 1.0
    service_cost_by_kind: dict[str, CostFactor] = Field(default_factory=dict)
    service_cost_per_purchase: Money = 0.0
    service_cost_per_year: Money = 0.0
    cac: Factor = 1.0


def _named_otherwise(scenarios: dict[str, Scenario]) -> dict[str, Scenario]:
    if BASE in scenarios:
        raise ValueError(f"{BASE!r} names the world as it is; give the scenario another name")
    return scenarios


Scenarios = Annotated[dict[str, Scenario], AfterValidator(_named_otherwise)]
