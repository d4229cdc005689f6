"""Time the fits of both purchase models beside lifetimes, on the same customers in the same run.

    python benchmarks/fits.py --customers 2000000 --large 20000000 --sample 100000

Every fit runs in a process of its own, after a small one that loads what is loaded lazily; of
several rounds each keeps its fastest. lifetimes is given one row per customer, as its users do, and
so are we; we are timed on counted patterns as well, which is what our pipeline hands to a fit. A
Pareto/NBD fit by lifetimes takes so long that both sides get a sample of the customers for it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import worlds
from bench import measured, say
from report import ROOT, command, machine, publish

FITTERS = {"bg_nbd": "BetaGeoFitter", "pareto_nbd": "ParetoNBDFitter"}
WARM_UP = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000_000)
    parser.add_argument("--large", type=int, default=20_000_000, help="0 leaves it out")
    parser.add_argument("--sample", type=int, default=100_000, help="for lifetimes' Pareto/NBD")
    parser.add_argument("--rounds", type=int, default=2, help="of our fits; lifetimes has one")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "work")
    parser.add_argument("--one", nargs=3, metavar=("MODEL", "SIDE", "DATA"), help="a single fit")
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(single(*options.one)) + "\n")
        return
    options.work.mkdir(parents=True, exist_ok=True)
    entry = {
        **{name: getattr(options, name) for name in ("customers", "large", "sample", "rounds")},
        "command": command(),
        **machine(),
        "truth": worlds.TRUTH,
        "fits": [one for model in worlds.WORLDS for one in compare(model, options)],
    }
    publish("results_fits.json", entry, ("customers", "large", "sample"))


def compare(model: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the fits of one model; the last of each size is that of lifetimes."""
    peer_size = options.customers if model == "bg_nbd" else options.sample
    runs = [("ours", "patterns", options.customers), ("ours", "rows", options.customers)]
    if options.large:
        runs.insert(0, ("ours", "patterns", options.large))
    if peer_size != options.customers:
        runs += [("ours", "patterns", peer_size), ("ours", "rows", peer_size)]
    runs.append(("lifetimes", "rows", peer_size))
    found = []
    for side, shape, size in runs:
        data = saved(model, shape, size, options.work)
        rounds = [
            json.loads(measured(["benchmarks/fits.py", "--one", model, side, data])["stdout"])
            for _ in range(options.rounds if side == "ours" else 1)
        ]
        best = min(rounds, key=lambda one: one["seconds"])
        found.append({"model": model, "side": side, "shape": shape, "customers": size, **best})
        say(json.dumps(found[-1]))
    return found


def saved(model: str, shape: str, size: int, work: Path) -> Path:
    """The file of some customers, drawn unless an earlier run left it."""
    file = work / f"{model}-{size}-{shape}.npz"
    if not file.exists():
        drawn = worlds.patterns(model, size) if shape == "patterns" else worlds.draw(model, size)
        half = work / f"half-{file.name}"
        np.savez(half, **drawn)
        half.replace(file)
    return file


def single(model: str, side: str, data: str) -> dict[str, Any]:
    """One fit, timed; the log-likelihood is worked out by the same code for both sides."""
    with np.load(data) as file:
        columns = dict(file)
    weights = columns.pop("customers", None)
    data_in_weeks = letters(columns)
    work = fit_ours if side == "ours" else fit_lifetimes
    work(model, letters(worlds.draw(model, WARM_UP)), None)
    before, began = processor_seconds(), time.perf_counter()
    found = work(model, data_in_weeks, weights)
    seconds, after = time.perf_counter() - began, processor_seconds()
    return {
        "seconds": round(seconds, 3),
        "processor_seconds": round(after - before, 3),
        "rows": int(data_in_weeks["x"].size),
        **found,
        "log_likelihood_per_customer": mean_log_likelihood(model, found, data_in_weeks, weights),
    }


def letters(columns: dict[str, Any]) -> dict[str, Any]:
    """The letters of the papers, in weeks."""
    times = {"t_x": columns["recency"] / worlds.WEEK, "T": columns["T"] / worlds.WEEK}
    return {"x": columns["frequency"], **times}


def fit_ours(model: str, data: dict[str, Any], weights: Any) -> dict[str, Any]:
    from clv_spark.models import fit

    result = fit(model, data, weights)
    return {"parameters": result.parameters, "outcome": result.status}


def fit_lifetimes(model: str, data: dict[str, Any], weights: Any) -> dict[str, Any]:
    import lifetimes

    warnings.simplefilter("ignore", RuntimeWarning)  # log(0) on the way to an optimum
    fitter = getattr(lifetimes, FITTERS[model])()
    try:
        fitter.fit(data["x"], data["t_x"], data["T"], weights)
    except lifetimes.utils.ConvergenceError:
        return {"parameters": None, "outcome": "ConvergenceError"}
    parameters = {name: float(value) for name, value in fitter.params_.items()}
    return {"parameters": parameters, "outcome": "converged"}


def mean_log_likelihood(
    model: str, found: dict[str, Any], data: dict[str, Any], weights: Any
) -> float | None:
    from clv_spark.models import PURCHASE_MODELS

    if found["parameters"] is None:
        return None
    values = PURCHASE_MODELS[model].log_likelihood(found["parameters"], **data)
    return float(np.average(values, weights=weights))


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
