"""Tables of facts about contracts: their rows, those not used, and their features."""

from __future__ import annotations

from clv_spark.config.contracts import CONTRACT_REASONS
from clv_spark.schemas.spec import ID, SEGMENT_KEYS, Column, TableSpec, reason_column

_SEGMENT_KEY = Column(
    SEGMENT_KEYS,
    "STRING",
    "key of contract_segments, '(unknown)' where the source has none; text",
    nullable=True,
)
_CONTRACT = (
    Column("customer_id", ID, "customer as named by the source; identifier"),
    Column("contract_id", "STRING", "contract of the customer as named by the source; identifier"),
    Column(
        "life",
        "INT",
        "1 for the first life of the contract; a reactivation after a pause and a new period "
        "begin another; count",
    ),
)
_PERIOD = Column("period", "STRING", "from renewal to renewal: month, quarter or year; text")
_PERIODIC_MARGIN = Column(
    "periodic_margin",
    "DECIMAL(18,2)",
    "margin of a period, NULL when the source maps no margin; money per period",
    nullable=True,
)

CONTRACTS = TableSpec(
    name="contracts",
    comment=(
        "One row per stretch of a contract with one amount and period, of all of the source, "
        "whatever the as-of date. Rows of a snapshot have tenure and is_lost instead of dates."
    ),
    columns=(
        *_CONTRACT[:2],
        Column("position", "INT", "1 for the first row of the contract, then in order; count"),
        _CONTRACT[2],
        _SEGMENT_KEY,
        Column("life_start_date", "DATE", "first day of the life, NULL in a snapshot; date", True),
        Column("start_date", "DATE", "first day of the row, NULL in a snapshot; date", True),
        Column(
            "end_date",
            "DATE",
            "first day on which it no longer holds, NULL while it runs and in a snapshot; date",
            nullable=True,
        ),
        Column(
            "begins",
            "STRING",
            "new: the first row of the contract; continued: goes on with another amount; changed: "
            "goes on with another period; reactivated: after a pause; text",
        ),
        Column(
            "is_followed",
            "BOOLEAN",
            "whether another row goes on where this one ends; true or false",
        ),
        _PERIOD,
        Column("periodic_amount", "DECIMAL(18,2)", "price of a period; money per period"),
        _PERIODIC_MARGIN,
        Column("tenure", "INT", "periods so far, NULL outside a snapshot; count", True),
        Column(
            "is_lost",
            "BOOLEAN",
            "whether lost within the window, NULL outside a snapshot; true or false",
            nullable=True,
        ),
    ),
    key=("customer_id", "contract_id", "position"),
    checks={
        "period": "period IN ('month', 'quarter', 'year')",
        "amount": "periodic_amount >= 0",
        "dates": "end_date IS NULL OR end_date >= start_date",
        "shape": "(start_date IS NULL) = (tenure IS NOT NULL)",
    },
    version=1,
)

REJECTED_CONTRACTS = TableSpec(
    name="rejected_contracts",
    comment="One row per source row of contracts that was not used, with the reason.",
    columns=(
        reason_column("row", CONTRACT_REASONS, "source.contracts.reject"),
        Column("start_date", "DATE", "first day of the row, NULL when unreadable; date", True),
        Column(
            "amount", "DECIMAL(18,2)", "periodic amount, NULL when unreadable; money as read", True
        ),
        Column("line", "STRING", "the source row with all its columns; JSON text"),
    ),
    key=(),
    version=1,
)

CONTRACT_FEATURES = TableSpec(
    name="contract_features",
    comment=(
        "One row per as_of_date and life of a contract that had begun by that date, the date "
        "included. An end after the date has not happened yet."
    ),
    columns=(
        Column("as_of_date", "DATE", "last day that counts; date, the partition"),
        *_CONTRACT,
        _SEGMENT_KEY,
        _PERIOD,
        Column("start_date", "DATE", "first day of the life; date"),
        Column("end_date", "DATE", "first day without contract, NULL while it runs; date", True),
        Column(
            "entry_tenure",
            "INT",
            "periods survived when observation began: 0, or in a snapshot tenure less the window, "
            "of lost contracts less half of it; count",
        ),
        Column(
            "tenure",
            "INT",
            "whole periods survived so far, or the period in which it ended; count",
        ),
        Column("is_active", "BOOLEAN", "whether it runs on as_of_date; true or false"),
        Column(
            "is_lost",
            "BOOLEAN",
            "whether it was lost; neither active nor lost is a life that went on with another "
            "period; true or false",
        ),
        Column("last_renewal_date", "DATE", "start or last renewal up to as_of_date or end; date"),
        Column(
            "next_renewal_date",
            "DATE",
            "first renewal after as_of_date, NULL unless active; date",
            nullable=True,
        ),
        Column("periodic_amount", "DECIMAL(18,2)", "newest price of a period; money per period"),
        _PERIODIC_MARGIN,
        Column("periods_paid", "INT", "periods begun, each paid at its first day; count"),
        Column("paid_amount", "DECIMAL(28,2)", "price of these periods; money"),
        Column(
            "paid_margin",
            "DECIMAL(28,2)",
            "margin of these periods, NULL when the source maps no margin; money",
            nullable=True,
        ),
    ),
    key=("as_of_date", "customer_id", "contract_id", "life"),
    partition_by=("as_of_date",),
    slice_column="as_of_date",
    checks={
        "period": "period IN ('month', 'quarter', 'year')",
        "tenure": "entry_tenure >= 0 AND tenure >= entry_tenure",
        "state": "NOT (is_active AND is_lost) AND is_active = (end_date IS NULL)",
        "renewal": "is_active = (next_renewal_date IS NOT NULL)",
    },
    version=1,
)
