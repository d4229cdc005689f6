"""All models side by side on two levels of segments: one is chosen, each draws on its parent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.kernels.choose import USABLE, comparable_bic
from clv_spark.kernels.generate import WORLD, transactions
from clv_spark.lake import Lake
from clv_spark.pipelines import build_customer_days, build_features, fit_models, score_customers
from clv_spark.pipelines.summarise_segments import members_of
from clv_spark.schemas import CLV_SCORES, CUSTOMER_FEATURES, MODEL_PARAMETERS, SEGMENT_SUMMARY

AS_OF = dt.date(2022, 12, 31)
LATER = dt.date(2023, 1, 31)
MODELS = ("bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb")
HOME, ABROAD, SOUTHERN = (place.country for place in WORLD[:3])
COLUMNS = {
    "customer_id": "customer_id",
    "event_time": "event_time",
    "amount": "amount",
    "country": "country",
    # A slash in a name must not look like a level.
    "region": f"IF(country IN ('{HOME}', '{ABROAD}'), 'North/West', 'South')",
}
REGION = "North%2FWest"


def config(folder: Path, **models: Any) -> Config:
    return Config.model_validate(
        {
            "lake": {"path": str(folder / "lake")},
            "source": {"transactions": {"path": str(folder / "lines"), "columns": COLUMNS}},
            "segments": ["region", "country"],
            "models": {"candidates": MODELS, "switch_margin": 0, **models},
            "fit": {"min_customers": 150, "min_repeaters": 30},
            # These have tests of their own.
            "reports": {"cohorts": "never", "forecast": False},
        }
    )


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("choice")
    batches = transactions(
        0, 1500, world=WORLD[:3], start=dt.date(2021, 1, 1), end=LATER, lines_per_purchase=1, seed=5
    )
    (folder / "lines").mkdir()
    pq.write_table(pa.Table.from_batches(batches), folder / "lines" / "lines.parquet")
    settings = config(folder)
    build_customer_days(spark, settings)
    build_features(spark, settings, AS_OF)
    fit_models(spark, settings, AS_OF)
    score_customers(spark, settings, AS_OF)
    return Lake(spark, settings)


def fits_of(lake: Lake, date: dt.date) -> pd.DataFrame:
    return lake.read(MODEL_PARAMETERS, date).toPandas().set_index(["model", "segment"]).sort_index()


def chosen_of(fits: pd.DataFrame) -> dict[str, str]:
    used = fits[fits["chosen"]].reset_index()
    used = used[used["model"].isin(MODELS)]
    assert used["segment"].is_unique
    return dict(zip(used["segment"], used["model"], strict=True))


@pytest.fixture(scope="module")
def fits(lake: Lake) -> pd.DataFrame:
    return fits_of(lake, AS_OF)


@pytest.fixture(scope="module")
def scores(lake: Lake) -> pd.DataFrame:
    return lake.read(CLV_SCORES, AS_OF).toPandas()


def test_every_candidate_is_on_record_for_every_segment(fits: pd.DataFrame) -> None:
    leaves = {f"{REGION}/{HOME}", f"{REGION}/{ABROAD}", f"South/{SOUTHERN}"}
    segments = {"global", REGION, "South", *leaves}
    for model in (*MODELS, "gamma_gamma", "return_rate"):
        assert set(fits.loc[model].index) == segments
    assert fits["package_version"].notna().all()
    by_segment = fits.loc["bg_nbd"]
    assert by_segment.loc[f"{REGION}/{HOME}", ["segment_level", "parent_segment"]].tolist() == [
        "country",
        REGION,
    ]
    assert by_segment.loc[REGION, ["segment_level", "parent_segment"]].tolist() == [
        "region",
        "global",
    ]
    counts = by_segment["n_customers"]
    assert counts["global"] == counts[REGION] + counts["South"]
    assert counts[REGION] == counts[f"{REGION}/{HOME}"] + counts[f"{REGION}/{ABROAD}"]
    assert set(fits.loc["bg_bb", "time_unit"]) == {"day"}
    assert set(fits.loc["pareto_nbd", "time_unit"]) == {"week"}
    assert set(fits.loc["gamma_gamma", "spend_basis"]) == {"all"}


def criteria(lake: Lake, fits: pd.DataFrame, date: dt.date) -> dict[str, dict[str, float]]:
    """By segment the criterion of each usable candidate, as if all counted time in days."""
    known = lake.read(CUSTOMER_FEATURES, date).toPandas()
    region = known["region"].str.replace("/", "%2F")
    root = pd.Series("global", index=known.index)
    out = {}
    for names in (root, region, region + "/" + known["country"]):
        for segment, purchases in known.groupby(names)["frequency"].sum().items():
            rows = fits.xs(segment, level="segment").loc[list(MODELS)]
            usable = rows[rows["status"].isin(USABLE)]
            out[segment] = {
                model: comparable_bic(row["bic"], purchases, 1 if model == "bg_bb" else 7)
                for model, row in usable.iterrows()
            }
    return out


def test_the_best_criterion_is_chosen_whatever_the_unit_of_time(
    lake: Lake, fits: pd.DataFrame
) -> None:
    chosen = chosen_of(fits)
    found = criteria(lake, fits, AS_OF)
    assert set(found) == set(chosen)
    assert len(found["global"]) == len(MODELS)
    for segment, compared in found.items():
        if compared:
            assert chosen[segment] == min(compared, key=lambda model: compared[model])


def test_segments_are_drawn_to_their_parent_and_say_how_sure_they_are(fits: pd.DataFrame) -> None:
    own = fits[fits["status"].isin(USABLE) & fits.index.get_level_values(0).isin(MODELS)]
    for (model, segment), row in own.iterrows():
        assert row["parameters_segment"] == segment
        assert set(row["standard_errors"]) == set(row["parameters"]), model
        assert len(row["covariance"]) == 16
        variances = sorted(row["covariance"][position] for position in (0, 5, 10, 15))
        errors = sorted(error**2 for error in row["standard_errors"].values())
        assert errors == pytest.approx(variances)
        assert row["own_weight"] == 1 if segment == "global" else 0 < row["own_weight"] < 1


def test_scores_name_their_model_and_segment(scores: pd.DataFrame, fits: pd.DataFrame) -> None:
    chosen = chosen_of(fits)
    assert set(scores["segment"]) == {s for s in chosen if "/" in s}
    expected = scores["segment"].map(chosen) + " + gamma_gamma"
    assert (scores["model"] == expected).all()
    assert scores[["p_alive", "clv", "clv_low", "clv_high"]].notna().to_numpy().all()


def test_a_summary_adds_up_on_every_level(lake: Lake, scores: pd.DataFrame) -> None:
    summary = lake.read(SEGMENT_SUMMARY, AS_OF).toPandas().set_index("segment")
    assert summary.loc["global", "customers"] == len(scores)
    for column in ("customers", "clv_sum", "active_customers"):
        regions = summary.loc[[REGION, "South"], column].sum()
        assert summary.loc["global", column] == pytest.approx(regions)
        countries = summary.index[summary.index.str.startswith(f"{REGION}/")]
        assert summary.loc[REGION, column] == pytest.approx(summary.loc[countries, column].sum())
    assert summary.loc["global", "clv_sum"] == pytest.approx(scores["clv"].sum(), rel=1e-7)
    assert dict(summary["segment_level"])["South"] == "region"
    inside = summary["clv_sum"].between(summary["clv_sum_low"], summary["clv_sum_high"])
    assert inside.all()


def test_a_fit_with_another_basis_of_spend_is_not_used(spark: SparkSession, lake: Lake) -> None:
    settings = config(Path(str(lake.config.lake.path)).parent, spend_basis="repeat")
    before = lake.last_commit(CLV_SCORES, AS_OF)
    with pytest.raises(InputError, match=r"spend_basis all.*run fit-models again"):
        score_customers(spark, settings, AS_OF)
    assert lake.last_commit(CLV_SCORES, AS_OF) == before


def test_a_segment_that_appears_after_the_fit_lies_below_the_nearest_one() -> None:
    above = {
        "global": ("global", None),
        "Europe": ("region", "global"),
        "Europe/France": ("country", "Europe"),
    }
    leaves = {"Asia/Japan": 2, "Europe/France": 10, "Europe/Malta": 5}
    assert members_of(leaves, above, nested=True) == {
        "Asia/Japan": ["Asia/Japan"],
        "Europe/France": ["Europe/France"],
        "Europe/Malta": ["Europe/Malta"],
        "Europe": ["Europe/France", "Europe/Malta"],
        "global": ["Asia/Japan", "Europe/France", "Europe/Malta"],
    }
    assert members_of(leaves, above, nested=False)["Europe"] == ["Europe/France"]


@pytest.mark.long
def test_a_choice_stays_until_another_is_better_by_the_margin(
    spark: SparkSession, lake: Lake, fits: pd.DataFrame
) -> None:
    """The best of both is that of the day before as well: a month does not change who buys how."""
    folder = Path(str(lake.config.lake.path)).parent
    best = chosen_of(fits)["global"]
    other = "mbg_nbd" if best != "mbg_nbd" else "bg_nbd"
    # The day before chose another model, on its own.
    before = LATER - dt.timedelta(days=1)
    two = {"candidates": (best, other)}
    for date, models in ((before, {"transactions": other}), (LATER, {**two, "switch_margin": 1e9})):
        settings = config(folder, **models)
        build_features(spark, settings, date)
        fit_models(spark, settings, date)
    assert chosen_of(fits_of(lake, LATER))["global"] == other
    fit_models(spark, config(folder, **two), LATER)
    assert chosen_of(fits_of(lake, LATER))["global"] == best
