"""A source that changes from night to night, in files or in a Delta table, drawn at random."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

FIRST = dt.date(2024, 1, 30)
SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("who", pa.string()),
        ("day", pa.string()),
        ("amount", pa.float64()),
        ("invoice", pa.string()),
        ("place", pa.string()),
    ]
)
COLUMNS = {
    "customer_id": "who",
    "event_time": "day",
    "amount": "CAST(amount AS DOUBLE)",
    "transaction_id": "invoice",
    "country": "place",
    "line_id": "line",
}
Line = dict[str, Any]


class Lines:
    """Draws lines; the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0

    def of(self, day: dt.date, count: int) -> list[Line]:
        return [self._line(day) for _ in range(count)]

    def _line(self, day: dt.date) -> Line:
        draw = self.random
        self.number += 1
        return {
            "line": self.number,
            # Few enough to come back, to be refunded before they buy, and to be missing.
            "who": draw.choice([f"c{draw.randrange(40)}"] * 19 + [None]),
            "day": draw.choice([day.isoformat()] * 29 + ["some day"]),
            "amount": draw.choice([1, 1, 1, -1]) * draw.randrange(1, 5000) / 100,
            "invoice": f"i{draw.randrange(10)}",
            "place": draw.choice(["Peru", "Chile", "O'Brien", None]),
        }

    def of_night(self, day: dt.date) -> list[Line]:
        """The new day, some late lines, and now and then a line sent twice."""
        lines = self.of(day, self.random.randrange(5, 15))
        if day > FIRST:
            for _ in range(self.random.randrange(3)):
                late = day - dt.timedelta(days=self.random.randrange(1, 9))
                lines += self.of(max(late, FIRST), 1)
        return lines + [dict(line) for line in lines if self.random.random() < 0.1]


class Files:
    """A folder of files; each night brings one, and may change, merge or remove earlier ones."""

    def __init__(self, folder: Path, seed: int, suffix: str = "parquet") -> None:
        self.folder, self.lines, self.suffix = folder, Lines(seed), suffix
        self.held: dict[str, list[Line]] = {}
        folder.mkdir(parents=True)

    def source(self) -> dict[str, Any]:
        return {"format": self.suffix, "path": str(self.folder)}

    def night(self, day: dt.date) -> None:
        self.put(f"day {day}", self.lines.of_night(day))
        draw = self.lines.random
        act = draw.choice([self._correct, self._vanish, self._merge, None, None])
        if act is not None and len(self.held) > 4:
            act(draw.choice(sorted(self.held)))

    def _correct(self, name: str) -> None:
        lines = [dict(line) for line in self.held[name]]
        draw = self.lines.random
        lines.pop(draw.randrange(len(lines)))
        for line in lines[:1]:
            line["amount"] = 7.77
            line["day"] = (FIRST + dt.timedelta(days=draw.randrange(3))).isoformat()
        if lines:
            self.put(name, lines)

    def _vanish(self, name: str) -> None:
        self.remove(name)

    def _merge(self, name: str) -> None:
        other = next(one for one in sorted(self.held) if one != name)
        self.put(f"merged {name}", self.held[name] + self.held[other])
        self.remove(name)
        self.remove(other)

    def put(self, name: str, lines: list[Line]) -> None:
        self.held[name] = lines
        table = pa.Table.from_pylist(lines, SCHEMA)
        path = self.folder / f"{name}.{self.suffix}"
        path.unlink(missing_ok=True)
        (pq.write_table if self.suffix == "parquet" else pa_csv.write_csv)(table, path)

    def remove(self, name: str) -> None:
        del self.held[name]
        (self.folder / f"{name}.{self.suffix}").unlink()


class Delta:
    """A Delta table; each night appends, and may update, delete or compact."""

    def __init__(self, folder: Path, seed: int, *, feed: bool = False) -> None:
        self.folder, self.lines = folder, Lines(seed)
        write_deltalake(
            str(folder),
            pa.Table.from_pylist([], SCHEMA),
            configuration={"delta.enableChangeDataFeed": "true"} if feed else {},
        )

    def source(self) -> dict[str, Any]:
        return {"format": "delta", "path": str(self.folder)}

    def night(self, day: dt.date) -> None:
        self.append(self.lines.of_night(day))
        acts: list[Callable[[DeltaTable], Any] | None] = [
            lambda table: table.update(
                updates={"day": f"'{FIRST}'"}, predicate=f"line % 17 = {day.day % 17}"
            ),
            lambda table: table.delete(f"line % 19 = {day.day % 19}"),
            lambda table: table.optimize.compact(),
            None,
        ]
        act = self.lines.random.choice(acts)
        if act is not None:
            act(DeltaTable(str(self.folder)))

    def append(self, lines: list[Line]) -> None:
        table = pa.Table.from_pylist(lines, SCHEMA)
        write_deltalake(str(self.folder), table, mode="append")
