"""Time the whole job on contracts: from Parquet to scores, on two cores.

    python benchmarks/contracts.py --customers 43000000      # about 50 million contracts

The contracts are made once and kept; a run starts from an empty lake. Peak memory is that of all
processes together. The fits alone, on the patterns that the run counted, are timed afterwards.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from bench import measured, say
from report import ROOT, command, machine, publish

AS_OF = dt.date(2024, 12, 31)
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000_000)
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "work")
    parser.add_argument("--one", nargs=2, metavar=("PART", "FOLDER"), help="a single measurement")
    options = parser.parse_args()
    folder = options.work / f"contracts-{options.customers}"
    if options.one:
        part, where = options.one
        sys.stdout.write(json.dumps(PARTS[part](Path(where), options.customers)) + "\n")
        return
    arguments = ["benchmarks/contracts.py", "--customers", options.customers, "--one"]
    if not (folder / "source" / "_SUCCESS").exists():
        shutil.rmtree(folder, ignore_errors=True)
        measured([*arguments, "generate", folder])
    done = measured([*arguments, "run", folder])
    entry: dict[str, Any] = {
        "customers": options.customers,
        "cores": CORES,
        "command": command(),
        **machine(),
        **json.loads(done["stdout"].splitlines()[-1]),
        "wall": round(done["wall"], 1),
        "processor_s": round(done["processor_s"], 1),
        "peak_mb": done["peak_mb"],
    }
    say(json.dumps(entry))
    publish("results_contracts.json", entry, ("customers",))


def generate(folder: Path, customers: int) -> dict[str, Any]:
    """Write the contracts."""
    from clv_spark import pipelines

    given = {"start": dt.date(2019, 1, 1), "end": AS_OF, "seed": 1}
    out = str(folder / "source")
    return pipelines.generate_contracts(session(folder), out=out, customers=customers, **given)


def run(folder: Path, customers: int) -> dict[str, Any]:
    """The job on an empty lake: seconds and rows of each stage."""
    from clv_spark import pipelines

    lake = folder / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    spark, config = session(folder), configuration(folder)
    outcome = pipelines.run(spark, config, AS_OF)
    stages = {stage["stage"]: stage["seconds"] for stage in outcome["stages"]}
    features = spark.read.format("delta").load(str(lake / "contract_features"))
    return {
        "rows": outcome["stages"][0]["rows_read"],
        "contracts": features.where("life = 1").count(),
        "seconds": outcome["seconds"],
        "stages": stages,
        **fits(features, config.contract_segments),
    }


def fits(features: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """How many patterns the contracts make, and the seconds of the fits of all segments."""
    from clv_spark.models import CONTRACT_MODELS, fit
    from clv_spark.transforms.contract_patterns import contract_patterns, entering_contract_fit
    from clv_spark.transforms.segments import level_columns, with_segments

    entering = entering_contract_fit(with_segments(features, keys), AS_OF, None)
    patterns = contract_patterns(entering, level_columns(keys)).toPandas()
    patterns = patterns.rename(columns={"entry_tenure": "entry"})
    began = time.perf_counter()
    for _, ours in patterns.groupby(["period", "segment"]):
        for model in CONTRACT_MODELS:
            fit(
                model, {name: ours[name] for name in ("entry", "tenure", "lost")}, ours["customers"]
            )
    return {"patterns": len(patterns), "fit_s": round(time.perf_counter() - began, 3)}


def configuration(folder: Path) -> Any:
    """The settings of the run."""
    from clv_spark.config import Config

    names = ("customer_id", "contract_id", "start_date", "end_date", "period")
    columns = [*names, "periodic_amount", "periodic_margin", "plan"]
    conf = {
        "spark.driver.memory": "4g",
        "spark.sql.shuffle.partitions": "32",
        "spark.local.dir": str(folder / "spill"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    return Config.model_validate(
        {
            "lake": {"path": str(folder / "lake")},
            "source": {
                "contracts": {
                    "path": str(folder / "source"),
                    "columns": {name: name for name in columns},
                }
            },
            "contract_segments": ["plan"],
            "spark": {"master": f"local[{CORES}]", "conf": conf},
        }
    )


def session(folder: Path) -> Any:
    """A session on two cores."""
    from clv_spark.session import get_session

    return get_session(configuration(folder))


PARTS = {"generate": generate, "run": run}

if __name__ == "__main__":
    main()
