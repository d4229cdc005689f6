"""Valued customers -> sums by segment and tier, or step of clv: all that segment_summary needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from clv_spark.config import ACQUISITION_MONTH, CostsConfig
from clv_spark.transforms.acquisition import acquisition_month
from clv_spark.transforms.earlier import BEFORE_CLV, BEFORE_TIER
from clv_spark.transforms.money import exact_sum, summand
from clv_spark.transforms.scores import decoded
from clv_spark.transforms.segments import GLOBAL, segment_above
from clv_spark.transforms.service import AHEAD

# Sums of doubles depend on their order, sums of decimals do not.
MONEY = (
    "p_active_365d",
    "expected_revenue_365d",
    "clv_revenue",
    "clv_margin",
    "clv_service_cost",
    "loss",
    "clv",
    *AHEAD,
    "purchases_ahead",
    "days_ahead",
    "historical_revenue",
    "historical_margin",
    "historical_service_cost",
    "historical_clv",
    "acquisition_cost",
    "new_acquisition_cost",
)
COUNTS = (
    "customers",
    "valued",
    "loss_making",
    "purchases",
    "age_days",
    "lost",
    "retained",
    "with_cost",
    "new_customers",
    "new_with_cost",
)
GROUP = ("relationship", "segment", "report_code", ACQUISITION_MONTH)
# The tier that customers come from tells them apart for tier_migration alone.
LEAF = (*GROUP, "clv_tier", "from_tier")
# Steps of half a percent, and apart from them everything below a cent.
_WIDTH, _CENT, _NOTHING = 0.005, 0.01, -1_000_000
_YEAR = 365


def without_cost(costs: CostsConfig) -> frozenset[str]:
    """The sums that are nothing whoever the customers are, as no such cost is configured.

    Example:
        >>> sorted(without_cost(CostsConfig()) & {"clv", "loss", "acquisition_cost"})
        ['acquisition_cost', 'loss']
    """
    nothing: set[str] = set()
    if costs.service.events is None:
        nothing |= {"events_of_purchases_ahead", "events_of_time_ahead"}
    if costs.service.is_free:
        nothing |= {"clv_service_cost", "historical_service_cost", "loss", *AHEAD}
    if not costs.acquisition.ways:
        nothing |= {"acquisition_cost", "new_acquisition_cost"}
    return frozenset(nothing)


def leaf_sums(
    valued: DataFrame,
    *,
    recent_days: int,
    by_month: bool,
    ends_known: bool = True,
    nothing: frozenset[str] = frozenset(),
) -> DataFrame:
    """Sums over customers of a segment, group, month and tier.

    Args:
        valued: Rows of clv_scores, with report_code, the service costs ahead and ``EARLIER``.
        recent_days: Younger customers count as new ones.
        by_month: Whether the month of acquisition tells groups apart.
        ends_known: Whether contracts have the dates they ended on; without them nobody can say how
            many were lost within a year.
        nothing: Names of ``MONEY`` that are known to be nothing: nobody need add them up.

    Returns:
        ``LEAF``, ``COUNTS`` as bigints, ``MONEY`` and clv_before (of the slice before, where the
        customer was in it) as decimals, and oldest, the age of the first customer in days.
    """
    age = F.col("T")
    lost, retained = _within_a_year(ends_known=ends_known)
    is_new = age < recent_days
    has_cost = F.col("acquisition_cost").isNotNull()
    counts = {
        "customers": F.lit(1),
        "valued": F.col("clv").isNotNull().cast("int"),
        "loss_making": F.col("loss_making").cast("int"),
        "purchases": F.col("purchases_so_far"),
        "age_days": age,
        "lost": lost.cast("int"),
        "retained": retained.cast("int"),
        "with_cost": has_cost.cast("int"),
        "new_customers": is_new.cast("int"),
        "new_with_cost": (is_new & has_cost).cast("int"),
    }
    left = F.col("clv_margin") - F.col("clv_service_cost")
    amounts = {
        "loss": F.when(F.col("loss_making"), left),
        "new_acquisition_cost": F.when(is_new, F.col("acquisition_cost")),
    }
    placed = valued.select(
        *group_columns(by_month=by_month),
        "clv_tier",
        F.col(BEFORE_TIER).alias("from_tier"),
        F.col(BEFORE_CLV).alias("clv_before"),
        *(count.cast("bigint").alias(name) for name, count in counts.items()),
        *(amounts.get(name, F.col(name)).alias(name) for name in MONEY if name not in nothing),
    )
    none = F.lit(0).cast("decimal(38,6)")
    return placed.groupBy(*LEAF).agg(
        *(F.sum(name).alias(name) for name in COUNTS),
        *(
            (none if name in nothing else exact_sum(F.col(name))).alias(name)
            for name in (*MONEY, "clv_before")
        ),
        F.max("age_days").alias("oldest"),
    )


def _within_a_year(*, ends_known: bool) -> tuple[Column, Column]:
    """Whether a customer of a year ago was lost since, and whether they were kept.

    Of contracts that is who had one then and has none now. Without contract nobody says so: who
    bought within the year before and not since counts as lost, and who is older than a year and
    bought since as kept, also after a silence of more than a year before.
    """
    was_there, silent = F.col("T") > _YEAR, F.col("T") - F.col("recency")
    contract = F.col("relationship") == "contract"
    known, runs = F.col("ran_a_year_ago") & F.lit(ends_known), F.col("p_alive") > 0
    lost, kept = F.when(contract, known & ~runs), F.when(contract, known & runs)
    return (
        lost.otherwise(was_there & (silent > _YEAR) & (silent <= 2 * _YEAR)),
        kept.otherwise(was_there & (silent <= _YEAR)),
    )


def step_sums(valued: DataFrame, *, by_month: bool) -> DataFrame:
    """Customers on each step of clv and their clv, by segment, group and month.

    Apart from ``leaf_sums``: there are so many steps that a sum of everything on each would cost
    more than to go over the customers twice.

    Args:
        valued: as there.
        by_month: as there.

    Returns:
        ``GROUP``, step, n and clv, a decimal.
    """
    placed = valued.where(F.col("clv").isNotNull()).select(
        *group_columns(by_month=by_month), clv_step(F.col("clv")).alias("step"), "clv"
    )
    return placed.groupBy(*GROUP, "step").agg(
        F.count(F.lit(1)).alias("n"), exact_sum(F.col("clv")).alias("clv")
    )


def group_columns(*, by_month: bool) -> list[Column]:
    """The columns of ``GROUP``, the month only where it tells groups apart."""
    month = F.date_format(acquisition_month(), "yyyy-MM") if by_month else F.lit(None)
    names = map(F.col, GROUP[:-1])
    return [*names, month.cast("string").alias(ACQUISITION_MONTH)]


def clv_step(clv: Column) -> Column:
    """The step of a value, higher for more; NULL for none."""
    size = F.floor(F.log(F.abs(clv)) / _WIDTH).cast("bigint")
    step = F.when(F.abs(clv) < _CENT, F.lit(_NOTHING).cast("bigint"))
    return step.when(clv > 0, size).when(clv < 0, 2 * _NOTHING - size)


def with_levels(
    leaves: DataFrame,
    keys: Mapping[str, tuple[str, ...]],
    report: Mapping[str, Sequence[str]],
) -> DataFrame:
    """Repeats each sum for every segment that it belongs to: global, those above it, its groups.

    Args:
        leaves: what :func:`leaf_sums`, :func:`step_sums` or :func:`kind_sums` gives.
        keys: names of the segment keys, by relationship.
        report: for each further key of the summary its value by report_code; the month of
            acquisition needs none.

    Returns:
        The rows with segment_level and name beside ``GROUP``.
    """
    levels = [(F.lit(GLOBAL), F.lit(GLOBAL), F.lit(True))]
    for relationship, names in keys.items():
        ours = F.col("relationship") == relationship
        levels += [
            (F.lit(key), segment_above(names, depth), ours) for depth, key in enumerate(names, 1)
        ]
    for key, values in report.items():
        levels.append((F.lit(key), decoded("report_code", values), F.lit(True)))
    month = F.col(ACQUISITION_MONTH)
    levels.append((F.lit(ACQUISITION_MONTH), month, month.isNotNull()))
    listed = F.array(
        *(
            F.struct(level.alias("segment_level"), F.when(wanted, name).alias("name"))
            for level, name, wanted in levels
        )
    )
    repeated = leaves.select("*", F.explode(listed).alias("of")).select("*", "of.*").drop("of")
    return repeated.where(F.col("name").isNotNull())


def tier_sums(levels: DataFrame) -> DataFrame:
    """Sums of each segment by leaf segment and tier: as few rows as there are of these."""
    keys = ("relationship", "segment_level", "name", "segment", "clv_tier")
    # Still decimals: a sum over tiers must not depend on where they begin.
    sums = (F.sum(name).alias(name) for name in (*COUNTS, *MONEY))
    return levels.groupBy(*keys).agg(*sums, F.max("oldest").alias("oldest"))


def distributions(levels: DataFrame) -> DataFrame:
    """Median of clv, and what the most valuable tenth of the customers holds, by segment.

    Customers on one step count as having its mean; of the step that the tenth ends on, as many as
    it needs.

    Args:
        levels: what :func:`with_levels` makes of ``step_sums``.

    Returns:
        relationship, segment_level, name, clv_median, top_tenth (the sum of clv).
    """
    of = ("relationship", "segment_level", "name")
    steps = levels.groupBy(*of, "step")
    counted = steps.agg(F.sum("n").alias("n"), F.sum("clv").cast("double").alias("sum"))
    from_top = Window.partitionBy(*of).orderBy(F.desc("step"))
    placed = counted.select(
        *of,
        (F.sum("n").over(from_top) - F.col("n")).alias("above"),
        F.sum("n").over(Window.partitionBy(*of)).alias("total"),
        "n",
        (F.col("sum") / F.col("n")).alias("mean"),
    )
    tenth = F.ceil(F.col("total") / 10)
    taken = F.least(F.greatest(tenth - F.col("above"), F.lit(0)), F.col("n"))
    # Of an even number of customers the two in the middle count half each.
    ranks = (F.floor((F.col("total") + 1) / 2), F.floor(F.col("total") / 2) + 1)
    middles = (
        F.max(F.when(rank.between(F.col("above") + 1, F.col("above") + F.col("n")), F.col("mean")))
        for rank in ranks
    )
    part = summand(taken * F.col("mean"))
    return placed.groupBy(*of).agg(
        (sum(middles, F.lit(0.0)) / 2).alias("clv_median"),
        F.sum(part).cast("double").alias("top_tenth"),
    )


def kind_sums(valued: DataFrame, *, by_month: bool) -> DataFrame:
    """Cost of service events so far, by segment, group, month and kind.

    Args:
        valued: as for :func:`leaf_sums`, with cost_by_kind.
        by_month: as there.

    Returns:
        ``GROUP``, kind and cost, a decimal.
    """
    placed = valued.select(
        *group_columns(by_month=by_month), F.explode("cost_by_kind").alias("kind", "cost")
    )
    return placed.groupBy(*GROUP, "kind").agg(F.sum("cost").alias("cost"))


def kind_totals(levels: DataFrame) -> DataFrame:
    """Cost of service events of each segment by kind.

    Args:
        levels: what :func:`with_levels` makes of ``kind_sums``.
    """
    totals = levels.groupBy("relationship", "segment_level", "name", "kind")
    return totals.agg(F.sum("cost").alias("cost"))
