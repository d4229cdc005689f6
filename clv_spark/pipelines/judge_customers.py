"""Part of job score-customers: scored customers -> ranks, stage of life, change, action."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from clv_spark.errors import ConfigError
from clv_spark.lake import Commit
from clv_spark.pipelines.local_rows import local_rows
from clv_spark.pipelines.run_context import Run
from clv_spark.schemas import CLV_SCORES, TIER_MIGRATION, Shape
from clv_spark.transforms.actions import OF_ACTIONS, with_actions, with_products, without_products
from clv_spark.transforms.earlier import counted_by
from clv_spark.transforms.lifecycle import with_change, with_rhythm, with_stage
from clv_spark.transforms.migration import tier_migration
from clv_spark.transforms.ranks import rank_starts, with_ranks
from clv_spark.transforms.rfm import combinations
from clv_spark.transforms.scores import Origin, with_origin

# Among the figures of a commit of scores: the slice they were compared with.
_COMPARED = "compared_with"


@dataclass(frozen=True)
class Rules:
    """The configured rules, found to fit before anything is scored.

    Attributes:
        rfm_names: The named segment of each combination of scores.
    """

    rfm_names: tuple[str, ...]


def checked_rules(run: Run) -> Rules:
    """Read the rules of the configuration, so that a mistake does not show after the scoring.

    Raises:
        ConfigError: a rule is wrong, or leaves a combination of scores without a name.
    """
    rows = combinations(run.spark, run.config.ranks.rfm_segments).orderBy("place").collect()
    nameless = [row for row in rows if row["name"] is None]
    if nameless:
        recency, frequency, monetary = nameless[0][:3]
        raise ConfigError(
            f"ranks.rfm_segments leaves {len(nameless)} of 125 combinations of scores without a "
            f"name, such as recency {recency}, frequency {frequency}, monetary {monetary}; let the "
            "last segment have when: 'true'"
        )
    with_actions(_no_customers(run), run.config.actions)
    return Rules(tuple(row["name"] for row in rows))


def _no_customers(run: Run) -> DataFrame:
    """No rows, of the columns that the rules of actions may name."""
    named = [c for c in CLV_SCORES.of(Shape()).columns if c.name not in OF_ACTIONS]
    schema = ", ".join(CLV_SCORES.ddl(column) for column in named)
    return without_products(local_rows(run.spark, [], schema))


def previous_date(run: Run) -> dt.date | None:
    """The date of the slice that a customer is compared with; None for the first.

    A slice that retention is about to remove does not count: repeated, the run would find none.
    """
    latest = run.date - dt.timedelta(days=run.config.lifecycle.compare_days)
    before = run.lake.newest_slice(CLV_SCORES, up_to=latest)
    return None if before is None or _is_expired(run, before) else before


def _is_expired(run: Run, date: dt.date) -> bool:
    """Whether retention removes the slice of a date, in this run or earlier."""
    keep, newest = run.config.retention.slice_days, run.lake.newest_slice(CLV_SCORES)
    if newest is None or keep is None:
        return False
    return date < max(newest, run.date) - dt.timedelta(days=keep)


def previous_fingerprint(run: Run, date: dt.date | None) -> str:
    """What the comparison depends on: another slice, or the same made anew, is another input.

    One that retention has removed since is none: repeated, the run would lose the comparison.
    """
    gone = _removed_since(run)
    if gone is not None:
        return gone["fingerprint"]
    commit = None if date is None else run.lake.last_commit(CLV_SCORES, date)
    # The log of an old slice may be gone; as long as nobody writes it again it is what it was.
    return f"previous {date} {commit.fingerprint if commit else 'unrecorded'}"


def compared(run: Run, date: dt.date | None) -> dict[str, Any]:
    """The figure of a commit of scores that :func:`previous_fingerprint` reads again."""
    gone = _removed_since(run)
    if gone is not None:
        return {_COMPARED: gone}
    if date is None:
        return {}
    return {_COMPARED: {"date": date.isoformat(), "fingerprint": previous_fingerprint(run, date)}}


def _removed_since(run: Run) -> dict[str, str] | None:
    """What the scores of the date were compared with, where retention has removed that since."""
    done = run.lake.last_commit(CLV_SCORES, run.date)
    known: dict[str, str] | None = None if done is None else done.figures.get(_COMPARED)
    gone = known is not None and _is_expired(run, dt.date.fromisoformat(known["date"]))
    return known if gone else None


def rank_customers(run: Run, valued: DataFrame, rules: Rules) -> DataFrame:
    """Count where everybody stands, in one pass over the values, then say it of each.

    Args:
        run: The run.
        valued: Scored customers of both relationships, kept, as they are read more than once.
        rules: The rules of :func:`checked_rules`.
    """
    tiers = run.config.ranks.tiers
    return with_ranks(valued, rank_starts(valued, tiers).collect(), tiers, rules.rfm_names)


def judge_customers(
    run: Run,
    ranked: DataFrame,
    offered: DataFrame | None,
    made_with: tuple[Sequence[Origin], dt.date],
) -> DataFrame:
    """Compare everybody with the slice before, and say what is to be done.

    Args:
        run: The run.
        ranked: What :func:`rank_customers` gives.
        offered: What to offer each customer who buys, where products are known.
        made_with: Where the parameters come from, by parameters_place, and when they were fitted.

    Returns:
        Rows of clv_scores.
    """
    lifecycle, (origins, fit_date) = run.config.lifecycle, made_with
    return (
        ranked.transform(with_rhythm, lifecycle, run.date)
        .transform(with_change)
        .transform(with_stage, lifecycle)
        .transform(with_products, offered)
        .transform(with_origin, origins, run.config, fit_date)
        .transform(with_actions, run.config.actions)
    )


def write_migration(run: Run, moved: DataFrame, before: dt.date | None, commit: Commit) -> Commit:
    """Say who moved between tiers and who is gone since the slice before; none for the first."""
    if before is None and run.lake.last_commit(TIER_MIGRATION, run.date) is None:
        return run.lake.record(TIER_MIGRATION, commit)
    if before is None:
        rows = run.lake.read(TIER_MIGRATION).limit(0)
    else:
        previous = run.lake.read(CLV_SCORES, before)
        found = tier_migration(moved, previous, counted_by(run.config), (run.date, before))
        rows = found.coalesce(1)
    return run.lake.replace(TIER_MIGRATION, rows, commit, run.date)
