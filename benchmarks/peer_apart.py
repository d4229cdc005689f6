"""The peer's one query from lines to features in parts, each a query of its own.

Runs after ``peer.py``, in a process of its own, so that the peer's total, start and memory are
those of the one query; ends with one JSON line: seconds by part. A part of customer-days reads the
lines as well.

    python benchmarks/peer_apart.py --data LINES --as-of 2023-12-31
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise

import duckdb
from peer import CUSTOMERS, PURCHASE_DAYS, arguments, files_of

# The columns that our job reads. A largest value of each has all of them decoded.
READ = """
SELECT count(*), max(customer_id), max(event_time), max(amount), max(country), max(currency)
FROM read_parquet($files)
"""


def main() -> None:
    options = arguments(__doc__).parse_args()
    settings = {"threads": options.threads, "memory_limit": options.memory}
    files, day = {"files": files_of(options.data)}, {"as_of": options.as_of}

    clock = [time.perf_counter()]
    duckdb.connect(config=settings).execute(READ, files).fetchall()
    clock.append(time.perf_counter())
    # A database of its own, which has kept nothing of what the other read.
    database = duckdb.connect(config=settings)
    database.execute(f"CREATE TEMP TABLE purchase_days AS {PURCHASE_DAYS}", {**files, **day})
    clock.append(time.perf_counter())
    database.execute(CUSTOMERS, day).df()
    clock.append(time.perf_counter())

    seconds = [round(after - before, 3) for before, after in pairwise(clock)]
    parts = dict(zip(("read", "customer-days", "features"), seconds, strict=True))
    sys.stdout.write(json.dumps(parts) + "\n")


if __name__ == "__main__":
    main()
