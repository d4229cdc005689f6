"""What a commit of this package says about itself, kept in the commit's userMetadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Commit:
    """Lineage and figures of one write, stored in the same commit as the rows.

    Attributes:
        run_id: the run that wrote.
        slice: the date that was replaced, ISO; None = the whole table.
        fingerprint: equal fingerprints mean equal input, settings and package: already done.
        source_version: version of the source the rows come from.
        config_hash: hash of the settings the rows depend on.
        package_version: version of clv_spark.
        figures: counts and sums of the stage, as they go to ``pipeline_runs``.
        table_version: Delta version, known once committed.
        rows_written: rows of the commit, as Delta counted them, without those of other slices that
            stood in a file which was written anew.
    """

    run_id: str
    slice: str | None
    fingerprint: str
    source_version: str
    config_hash: str
    package_version: str
    figures: dict[str, Any] = field(default_factory=dict)
    table_version: int | None = None
    rows_written: int | None = None

    def to_json(self) -> str:
        """Text for userMetadata; what only the commit itself knows is left out."""
        values = asdict(self)
        del values["table_version"], values["rows_written"]
        return json.dumps({"clv_spark": values}, sort_keys=True)

    @staticmethod
    def from_history(row: dict[str, Any]) -> Commit | None:
        """The commit of a row of DESCRIBE HISTORY, None when another program wrote it."""
        try:
            values = json.loads(row["userMetadata"] or "")["clv_spark"]
            metrics = row["operationMetrics"] or {}
            written = metrics.get("numOutputRows")
            if written is not None:
                written = int(written) - int(metrics.get("numCopiedRows", 0))
            return Commit(**values, table_version=int(row["version"]), rows_written=written)
        except (ValueError, KeyError, TypeError):
            return None
