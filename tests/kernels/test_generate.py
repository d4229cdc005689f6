"""The generated world is what it says: exact, repeatable, and its parameters can be found again."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clv_spark.errors import ConfigError
from clv_spark.kernels.generate import (
    BLOCK_CUSTOMERS,
    CHUNK_LINES,
    WORLD,
    CountryWorld,
    lines_per_purchase_for,
    lines_schema,
    string_ids,
    transactions,
    truth,
)
from clv_spark.models import fit

START, END = date(2022, 1, 1), date(2023, 12, 31)
DAY = np.timedelta64(1, "D")


def lines_of(n_customers: int, first_id: int = 0, **arguments: object) -> pa.Table:
    given = {"start": START, "end": END, "ids": "int", **arguments}
    batches = transactions(first_id, n_customers, **given)
    return pa.Table.from_batches(batches, schema=lines_schema(given["ids"]))


def purchase_days_of(lines: pa.Table) -> dict[str, np.ndarray]:
    """Return customer, day and whole cents of each purchase day, ordered by customer and day."""
    sales = lines.filter(pc.greater_equal(lines["amount"], 0))
    customer = sales["customer_id"].to_numpy()
    day = sales["event_time"].to_numpy().astype("datetime64[D]").astype(np.int64)
    cents = np.rint(100 * sales["amount"].to_numpy()).astype(np.int64)
    # Days since 1970 are below 100,000.
    keys, inverse = np.unique(customer * 100_000 + day, return_inverse=True)
    total = np.zeros(keys.size, dtype=np.int64)
    np.add.at(total, inverse, cents)
    return {"customer": keys // 100_000, "day": keys % 100_000, "cents": total}


def summary_of(lines: pa.Table) -> dict[str, np.ndarray]:
    """Return x, t_x, T in days and m_x per customer, each with at least one purchase."""
    days = purchase_days_of(lines)
    _, first, count = np.unique(days["customer"], return_index=True, return_counts=True)
    last = first + count - 1
    total = np.add.reduceat(days["cents"], first)
    end = np.datetime64(END).astype("datetime64[D]").astype(np.int64)
    x = count - 1
    repeat = (total - days["cents"][first]) / 100.0
    return {
        "x": x,
        "t_x": days["day"][last] - days["day"][first],
        "T": end - days["day"][first],
        "m_x": np.divide(repeat, x, out=np.zeros(len(x)), where=x > 0),
    }


@pytest.fixture(scope="module")
def lines() -> pa.Table:
    return lines_of(2 * BLOCK_CUSTOMERS, seed=7)


def test_every_amount_has_two_decimals_and_no_line_is_zero(lines: pa.Table) -> None:
    amounts = lines["amount"].to_numpy()
    cents = np.rint(100 * amounts)
    np.testing.assert_array_equal(cents / 100, amounts)
    assert np.all(cents != 0)


def test_splitting_over_more_lines_keeps_the_spend_of_each_purchase_day_to_the_cent() -> None:
    whole = lines_of(2000, lines_per_purchase=1.0, seed=3)
    split = lines_of(2000, lines_per_purchase=9.0, seed=3)
    # Nothing but the lines differs: both draw the purchase days first, from the same stream.
    one, many = purchase_days_of(whole), purchase_days_of(split)
    for name in one:
        np.testing.assert_array_equal(one[name], many[name])
    assert split.num_rows > 8 * whole.num_rows


def test_the_mean_number_of_lines_is_the_one_asked_for(lines: pa.Table) -> None:
    sales = np.count_nonzero(lines["amount"].to_numpy() > 0)
    assert sales / len(purchase_days_of(lines)["day"]) == pytest.approx(3.0, rel=0.01)


def test_a_target_of_lines_is_met_within_two_percent() -> None:
    customers = 3 * BLOCK_CUSTOMERS
    mean = lines_per_purchase_for(500_000, customers, start=START, end=END)
    assert lines_of(customers, lines_per_purchase=mean).num_rows == pytest.approx(500_000, rel=0.02)


def test_blocks_do_not_depend_on_how_they_are_grouped(lines: pa.Table) -> None:
    alone = [lines_of(BLOCK_CUSTOMERS, n * BLOCK_CUSTOMERS, seed=7) for n in (1, 0)]
    assert pa.concat_tables(reversed(alone)).equals(lines)


def test_another_seed_gives_another_world(lines: pa.Table) -> None:
    assert not lines_of(2 * BLOCK_CUSTOMERS, seed=8).equals(lines)


def test_two_blocks_are_not_the_same_customers_twice(lines: pa.Table) -> None:
    days = purchase_days_of(lines)
    second = days["customer"] >= BLOCK_CUSTOMERS
    assert set(days["cents"][second][:50]) != set(days["cents"][~second][:50])


def test_no_purchase_is_merged_into_another_of_the_same_day() -> None:
    daily = CountryWorld("Daily", 1.0, 20.0, 5.0, 0.5, 20.0, 5.0, 4.0, 20.0, 0.0)
    lines = lines_of(500, world=[daily], lines_per_purchase=1.0)
    assert lines.num_rows == len(purchase_days_of(lines)["day"])


def test_ids_of_lines_are_unique_and_an_order_has_one_customer_and_time() -> None:
    lines = lines_of(2 * BLOCK_CUSTOMERS, lines_per_purchase=10.0)
    assert lines.num_rows > 4 * CHUNK_LINES
    assert pc.count_distinct(lines["line_id"]).as_py() == lines.num_rows
    orders = lines.group_by("transaction_id").aggregate(
        [("customer_id", "count_distinct"), ("event_time", "count_distinct")]
    )
    assert set(orders["customer_id_count_distinct"].to_pylist()) == {1}
    assert set(orders["event_time_count_distinct"].to_pylist()) == {1}


def test_some_purchase_days_have_two_orders(lines: pa.Table) -> None:
    sales = lines.filter(pc.greater(lines["amount"], 0))
    orders = pc.count_distinct(sales["transaction_id"]).as_py()
    days = len(purchase_days_of(lines)["day"])
    assert 1.05 * days < orders < 1.1 * days


def test_times_are_within_the_period_and_opening_hours(lines: pa.Table) -> None:
    time = lines["event_time"].to_numpy()
    assert time.min() >= np.datetime64(START)
    assert time.max() < np.datetime64(END) + DAY
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    assert hour.min() >= 9
    assert hour.max() < 20


def test_first_purchases_stay_in_the_configured_part_of_the_period() -> None:
    early = summary_of(lines_of(3000, acquisition_share=0.2))
    assert early["T"].min() >= 0.8 * (END - START).days
    assert early["T"].max() == (END - START).days


def test_every_customer_has_a_sale_so_refunds_alone_never_make_one(lines: pa.Table) -> None:
    buyers = pc.unique(lines.filter(pc.greater(lines["amount"], 0))["customer_id"])
    assert sorted(buyers.to_pylist()) == list(range(2 * BLOCK_CUSTOMERS))


def test_refunds_leave_purchases_alone_and_come_on_later_days() -> None:
    place = {**WORLD[0].__dict__}
    without = [CountryWorld(**{**place, "refund_rate": 0.0})]
    with_refunds = [CountryWorld(**{**place, "refund_rate": 0.2})]
    plain = lines_of(4000, world=without, seed=5)
    refunded = lines_of(4000, world=with_refunds, seed=5)
    assert np.all(plain["amount"].to_numpy() > 0)
    for name, values in purchase_days_of(plain).items():
        np.testing.assert_array_equal(purchase_days_of(refunded)[name], values)
    negative = refunded.filter(pc.less(refunded["amount"], 0))
    assert negative.num_rows == pytest.approx(0.2 * plain.num_rows, rel=0.05)
    firsts = refunded.group_by("customer_id").aggregate([("event_time", "min")])
    first = dict(zip(*(column.to_pylist() for column in firsts.columns), strict=True))
    back = negative.select(["customer_id", "event_time"]).to_pylist()
    assert all(line["event_time"].date() > first[line["customer_id"]].date() for line in back)
    orders = pc.value_counts(negative["transaction_id"]).field("counts")
    assert pc.max(orders).as_py() == 1


def test_a_refund_never_returns_more_than_the_customer_paid(lines: pa.Table) -> None:
    net = lines.group_by("customer_id").aggregate([("amount", "sum")])["amount_sum"]
    assert pc.min(net).as_py() > -0.005


def test_string_ids_are_distinct_have_36_characters_and_follow_the_number(lines: pa.Table) -> None:
    named = lines_of(2 * BLOCK_CUSTOMERS, seed=7, ids="string")
    assert set(pc.utf8_length(named["customer_id"]).to_pylist()) == {36}
    assert pc.count_distinct(named["customer_id"]).as_py() == 2 * BLOCK_CUSTOMERS
    numbers = lines["customer_id"].combine_chunks()
    expected = string_ids(np.arange(2 * BLOCK_CUSTOMERS)).take(numbers)
    assert named["customer_id"].combine_chunks().equals(expected)
    assert named.drop(["customer_id"]).equals(lines.drop(["customer_id"]))


def test_batches_stay_small_however_many_lines_a_purchase_has() -> None:
    batches = transactions(0, 5000, start=START, end=END, lines_per_purchase=60.0)
    sizes = [batch.num_rows for batch in batches]
    assert len(sizes) > 5
    assert max(sizes) < 1.1 * CHUNK_LINES


@pytest.mark.parametrize("place", WORLD[:4], ids=lambda place: place.country)
def test_the_parameters_of_a_country_are_found_again(place: CountryWorld) -> None:
    seen = summary_of(lines_of(4 * BLOCK_CUSTOMERS, world=[place], lines_per_purchase=1.0, seed=11))
    purchases = fit("bg_nbd", {"x": seen["x"], "t_x": seen["t_x"] / 7, "T": seen["T"] / 7})
    assert purchases.parameters["r"] == pytest.approx(place.r, rel=0.05)
    assert purchases.parameters["alpha"] == pytest.approx(place.alpha, rel=0.06)
    found = purchases.parameters["a"] / (purchases.parameters["a"] + purchases.parameters["b"])
    assert found == pytest.approx(place.a / (place.a + place.b), rel=0.06)
    assert purchases.parameters["b"] == pytest.approx(place.b, rel=0.25)

    again = seen["x"] > 0
    spend = fit("gamma_gamma", {"x": seen["x"][again], "m_x": seen["m_x"][again]})
    assert spend.parameters["q"] == pytest.approx(place.q, rel=0.06)
    assert spend.parameters["p"] == pytest.approx(place.p, rel=0.15)
    mean = spend.parameters["p"] * spend.parameters["gamma"] / (spend.parameters["q"] - 1)
    assert mean == pytest.approx(place.p * place.gamma / (place.q - 1), rel=0.02)


def test_countries_differ_and_have_their_share_of_the_customers(lines: pa.Table) -> None:
    assert len(WORLD) >= 8
    customers = lines.group_by("country").aggregate([("customer_id", "count_distinct")])
    count = dict(zip(*(column.to_pylist() for column in customers.columns), strict=True))
    for country, facts in truth().items():
        expected = facts["share"] * 2 * BLOCK_CUSTOMERS
        assert count[country] == pytest.approx(expected, abs=5 * expected**0.5)
    for name in ("r", "alpha", "a", "b", "p", "q", "gamma"):
        assert len({facts[name] for facts in truth().values()}) == len(WORLD)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"first_id": 5}, "do not start a block"),
        ({"end": START}, "swap the dates"),
        ({"lines_per_purchase": 0.5}, "at least 1"),
        ({"ids": "uuid"}, "'int' or 'string'"),
        ({"seed": -1}, "0 or more"),
        ({"world": []}, "no country"),
        ({"acquisition_share": 0.0}, "above 0"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lines_of(10, **wrong)


def test_too_few_lines_for_the_customers_are_refused_with_the_number_to_ask_for() -> None:
    with pytest.raises(ConfigError, match=r"at least \d+ lines") as refusal:
        lines_per_purchase_for(1000, 1000, start=START, end=END)
    enough = int(str(refusal.value).split("at least ")[1].split()[0])
    assert lines_per_purchase_for(enough, 1000, start=START, end=END) >= 1.0


def test_a_world_without_a_variance_of_spend_is_refused() -> None:
    with pytest.raises(ConfigError, match="q above 2"):
        CountryWorld(**{**WORLD[0].__dict__, "q": 1.9})
