"""What a Spark worker runs to generate lines; it loads numpy and pyarrow, nothing of Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from clv_spark.kernels.generate import BLOCK_CUSTOMERS, transactions


def block_lines(
    batches: Iterable[pa.RecordBatch], *, customers: int, arguments: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Turn numbers of blocks into the lines of their customers."""
    for batch in batches:
        for block in batch.column(0).to_pylist():
            first = block * BLOCK_CUSTOMERS
            yield from transactions(first, min(BLOCK_CUSTOMERS, customers - first), **arguments)
