"""Draws docs/img/p_alive.png: P(alive) over recency and frequency in three models.

Run it from the root of the repository: ``python docs/make_p_alive_picture.py``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from clv_spark.models import bg_nbd, mbg_nbd, pareto_nbd
from clv_spark.models.model import PurchaseModel

TARGET = Path(__file__).parent / "img" / "p_alive.png"
WEEKS = 39.0
# Maximum likelihood on the CDNOW sample in weeks, as in the golden tests.
PANELS: list[tuple[str, PurchaseModel, dict[str, float]]] = [
    ("BG/NBD", bg_nbd, {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}),
    ("MBG/NBD", mbg_nbd, {"r": 0.5248, "alpha": 6.1831, "a": 0.8914, "b": 1.6140}),
    ("Pareto/NBD", pareto_nbd, {"r": 0.5533, "alpha": 10.5777, "s": 0.6062, "beta": 11.6687}),
]


def main() -> None:
    """Writes the picture."""
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.6), sharey=True, layout="constrained")
    t_x, x = np.meshgrid(np.linspace(0.25, WEEKS, 156), np.arange(1.0, 26.0))
    for axis, (title, model, params) in zip(axes, PANELS, strict=True):
        alive = model.probability_alive(params, x, t_x, WEEKS)
        once = float(model.probability_alive(params, 0, 0, WEEKS))
        mesh = axis.pcolormesh(t_x, x, alive, vmin=0, vmax=1, cmap="Blues", rasterized=True)
        lines = axis.contour(t_x, x, alive, levels=[0.1, 0.5, 0.9], colors="#b3400e")
        axis.clabel(lines, fmt="%.1f", fontsize=8)
        axis.set_title(f"{title}\none-time buyer: {once:.2f}", fontsize=10)
        axis.set_xlabel("recency t_x, weeks")
    axes[0].set_ylabel("frequency x, repeat purchases")
    figure.colorbar(mesh, ax=axes, label="P(alive) at T = 39 weeks", shrink=0.9)
    figure.savefig(TARGET, dpi=100)


if __name__ == "__main__":
    main()
