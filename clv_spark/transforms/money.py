"""Exact money: decimals in tables, whole hundredths (cents) as BIGINT inside aggregates."""

from __future__ import annotations

from decimal import Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F

# Beyond this a DECIMAL(18,2) is full, and a DOUBLE no longer holds whole cents.
LARGEST_AMOUNT = 1e15
_SAFE_FOR_DOUBLE = 1e9
# Beyond these nothing that is added up is money, or the square of it, and a decimal is full.
_LARGEST_SUMMAND, _LARGEST_SQUARE = 1e18, 1e21
_MILLIONTHS, _PART = 1_000_000, 2.0**33


def cents_of_double(amount: Column) -> Column:
    """A DOUBLE rounded half up, as its decimal digits are written, to whole cents; NULL if unfit.

    NULL comes out for NULL, NaN, infinity and amounts that DECIMAL(18,2) can't hold. The decimal
    way is exact but slow, so it is taken only where the product by 100 may sit on a rounding edge.
    """
    product = amount * 100
    whole = F.rint(product)
    clear = (F.abs(amount) < _SAFE_FOR_DOUBLE) & (F.abs(product - whole) < 0.499)
    exact = (amount.cast("decimal(30,10)").cast("decimal(30,2)") * 100).cast("bigint")
    fits = F.abs(amount) < LARGEST_AMOUNT
    return F.when(clear, whole.cast("bigint")).when(fits, exact)


def cents_of_decimal(amount: Column) -> Column:
    """A decimal amount rounded half up to whole cents; NULL for NULL and for too large ones."""
    fits = F.abs(amount) < F.lit(int(LARGEST_AMOUNT))
    return F.when(fits, (F.round(amount, 2) * 100).cast("bigint"))


def summand(amount: Column) -> Column:
    """A DOUBLE as a decimal: sums of doubles depend on their order, sums of decimals do not."""
    return _within(amount, _LARGEST_SQUARE).cast("decimal(28,6)")


def exact_sum(amount: Column, *, squares: bool = False) -> Column:
    """The sum of a DOUBLE to six decimals, the same in whatever order; an aggregate, DECIMAL(38,6).

    As a decimal every single amount would be written out as text and read again, ten times the
    cost of adding up whole numbers.

    Args:
        amount: Money; what is larger than 1e18 counts as that.
        squares: The amounts are squares of money, which need more room: up to 1e21 each.
    """
    total = F.lit(0).cast("decimal(38,0)")
    for part in _sums_of_parts(amount, squares):
        total = total * F.lit(int(_PART)) + part
    return (total * F.lit(Decimal(1) / _MILLIONTHS)).cast("decimal(38,6)")


def exact_sum_where(condition: Column, amount: Column) -> Column:
    """The exact sum over the rows that meet a condition, as DOUBLE; 0 where none does."""
    total = exact_sum(F.when(condition, amount))
    return F.coalesce(total.cast("double"), F.lit(0.0))


def orderless_sum(amount: Column, *, squares: bool = False) -> Column:
    """The same as DOUBLE, for sums of many groups, of which a decimal each would cost most."""
    total = F.lit(0.0)
    for part in _sums_of_parts(amount, squares):
        total = total * _PART + part
    return total / _MILLIONTHS


def _sums_of_parts(amount: Column, squares: bool) -> list[Column]:
    """Millionths added up as BIGINT, the highest part first; all others have 33 bits."""
    rest = F.rint(_within(amount, _LARGEST_SQUARE if squares else _LARGEST_SUMMAND) * _MILLIONTHS)
    parts = []
    for size in (_PART**2, _PART) if squares else (_PART,):
        # Towards zero: what is left of a negative amount has no more digits than it.
        taken = (rest / size).cast("bigint")
        parts.append(taken)
        rest = rest - taken * size
    return [F.sum(part) for part in (*parts, rest.cast("bigint"))]


def _within(amount: Column, bound: float) -> Column:
    larger = F.when(amount > bound, F.lit(bound)).when(amount < -bound, F.lit(-bound))
    return larger.otherwise(amount)


def cents(amount: Column) -> Column:
    """A DECIMAL(p,2) column as whole cents."""
    return (amount * 100).cast("bigint")


def money(cents: Column, precision: int) -> Column:
    """Whole cents as DECIMAL(precision, 2); overflow raises under ANSI."""
    return (cents.cast("decimal(20,0)") / 100).cast(f"decimal({precision},2)")
