"""New customers of a group, such as a channel: those of its leaf segments, by what sets it apart.

A group has no model of its own. Its customers so far are held against all customers of the same
leaf segments and age: by as much as they buy more often, for more money and at another margin, its
new customers will.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clv_spark.economics import ServiceRates
from clv_spark.kernels.new_customers import Course, NewCustomerCurve
from clv_spark.kernels.new_value import NewValue, new_value


@dataclass(frozen=True)
class Likeness:
    """By what factors a group's customers differ from others of their segments and age.

    Attributes:
        repeats: How often they buy again.
        order_value: What they pay for an order, after returns.
        margin: The margin they leave of it.
    """

    repeats: float = 1.0
    order_value: float = 1.0
    margin: float = 1.0


def likeness_of(found: Mapping[str, Any], min_customers: int) -> Likeness:
    """The factors of a group, drawn to 1 as long as it has few customers.

    Args:
        found: A row of ``transforms.likeness.group_sums``.
        min_customers: So many customers count half.

    Example:
        >>> web = {"customers": 300, "repeats": 60.0, "repeats_expected": 30.0, "revenue": 90.0,
        ...     "revenue_expected": 90.0, "margin": 0.0, "margin_expected": 0.0}
        >>> likeness_of(web, min_customers=100)
        Likeness(repeats=1.75, order_value=1.0, margin=1.0)
    """
    weight = found["customers"] / (found["customers"] + min_customers)

    def factor(name: str) -> float:
        seen, expected = float(found[name] or 0), float(found[f"{name}_expected"] or 0)
        return 1 + weight * (seen / expected - 1) if expected > 0 else 1.0

    return Likeness(factor("repeats"), factor("revenue"), factor("margin"))


def corner_values(
    curve: NewCustomerCurve, costs: ServiceRates, definition: str
) -> tuple[NewValue, ...]:
    """What a new customer brings as the curve says; without repeats; for nothing; without both.

    All that a new customer brings is linear in how often they buy again, and in what they pay: from
    these four :func:`alike` knows it for any factor on either.
    """
    once = _without_repeats(curve)
    curves = (curve, once, _for_nothing(curve), _for_nothing(once))
    return tuple(new_value(one, costs, definition) for one in curves)


def alike(corners: Sequence[NewValue], like: Likeness, definition: str) -> NewValue:
    """What a new customer of a group brings.

    Args:
        corners: Of the leaf segment, as :func:`corner_values` gives them; one alone stays as it is.
        like: The factors of the group.
        definition: What counts as value: revenue, margin or net.
    """
    if len(corners) == 1 or like == Likeness():
        return corners[0]
    revenue, margin = like.order_value, like.order_value * like.margin
    return NewValue(
        days=corners[0].days,
        plain=_between(corners, "plain", like.repeats, margin),
        discounted=_between(corners, "discounted", like.repeats, margin),
        draws=_between(
            corners, "draws", like.repeats, revenue if definition == "revenue" else margin
        ),
        revenue=_between(corners, "revenue", like.repeats, revenue),
        margin=_between(corners, "margin", like.repeats, margin),
        service_cost=_between(corners, "service_cost", like.repeats, revenue),
    )


def _between(corners: Sequence[NewValue], name: str, repeats: float, money: float) -> Any:
    usual, once, free, neither = (getattr(corner, name) for corner in corners)
    paid = once + repeats * (usual - once)
    unpaid = neither + repeats * (free - neither)
    return unpaid + money * (paid - unpaid)


def _for_nothing(curve: NewCustomerCurve) -> NewCustomerCurve:
    return replace(curve, order_value=0.0 * curve.order_value)


def _without_repeats(curve: NewCustomerCurve) -> NewCustomerCurve:
    return replace(
        curve,
        plain=_first_alone(curve.plain, curve.early_days),
        discounted=_first_alone(curve.discounted, curve.early_days),
    )


def _first_alone(course: Course, early_days: int) -> Course:
    """The course of who buys once: the first purchase counts on its day, so without discount."""
    first = 0.0 * course.purchases + 1.0
    # Without early days the first purchase does not belong to that phase either.
    return replace(
        course, purchases=first, purchases_early=first if early_days > 0 else 0.0 * first
    )
