"""What sections of the configuration must hold together; each rule says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clv_spark.config.contracts import RESERVED_CONTRACT_NAMES
from clv_spark.config.judgement import require_known_tiers
from clv_spark.config.section import SourceSection, alike
from clv_spark.config.transactions import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, RESERVED_NAMES

if TYPE_CHECKING:
    from clv_spark.config.model import Config

# What report_by may name that is no column: the month of the first purchase.
ACQUISITION_MONTH = "acquisition_month"


def require_consistency(config: Config) -> None:
    """Refuse sections that do not fit together.

    Raises:
        ValueError: there are some.
    """
    if not (config.lake.path or "").strip() and config.lake.schema_ is None:
        raise ValueError("lake needs a path, or a catalog and a schema")
    for rule in (_keys, _columns, _margins, _products, _scenarios, _spend, _currency):
        rule(config)
    require_known_tiers(config.actions, _tiers(config))


def _tiers(config: Config) -> list[str]:
    return [tier.name for tier in config.ranks.tiers]


def _keys(config: Config) -> None:
    _are_keys("segments", config.segments, RESERVED_NAMES)
    _are_keys("contract_segments", config.contract_segments, RESERVED_CONTRACT_NAMES)
    _are_keys("report_by", config.report_by, RESERVED_NAMES - {ACQUISITION_MONTH})
    segments = [key.lower() for key in config.segments]
    twice = [key for key in config.report_by if key.lower() in segments]
    if twice:
        raise ValueError(
            f"report_by names {twice}, which segments holds already: segment_summary breaks "
            "down by every segment key. Leave it out"
        )
    strays = [key for key in config.segment_assignment if key not in config.customer_keys]
    if strays:
        raise ValueError(
            f"segment_assignment names {strays}, which neither segments nor report_by holds"
        )


def _are_keys(name: str, keys: tuple[str, ...], reserved: frozenset[str]) -> None:
    if alike(keys):
        raise ValueError(
            f"{name} holds {list(keys)}; name each key once, capitals make no difference"
        )
    strange = [key for key in keys if not re.fullmatch(r"[^\s.,;{}()=`]+", key)]
    if strange:
        raise ValueError(
            f"{name} holds {strange}; a key becomes a column of the tables, so name it without "
            "spaces and without any of . , ; { } ( ) = `"
        )
    taken = [key for key in keys if key.lower() in reserved]
    if taken:
        raise ValueError(
            f"{name} names {taken}, which the tables use for something else; map the key "
            "under another name"
        )


def _columns(config: Config) -> None:
    lines, contracts = config.source.transactions, config.source.contracts
    if lines is not None:
        known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
        _columns_are_known(lines, "segments or report_by", config.customer_keys, known)
    if contracts is not None:
        keys = config.contract_segments
        _columns_are_known(contracts, "contract_segments", keys, contracts.names)


def _columns_are_known(
    source: SourceSection, section: str, keys: tuple[str, ...], names: tuple[str, ...]
) -> None:
    unmapped = [key for key in keys if key not in source.columns]
    if unmapped:
        raise ValueError(f"{section} names {unmapped}, which {source.key}.columns does not map")
    known = {*names, *keys}
    unknown = [name for name in source.columns if name not in known]
    if unknown:
        raise ValueError(
            f"{source.key}.columns maps {unknown}, which nothing uses; known are "
            f"{sorted(known)}. Put a further key under {section}, or remove it"
        )


def _margins(config: Config) -> None:
    margins, lines = config.value.margins, config.source.transactions
    if margins is None:
        return
    if lines is None or margins.by not in lines.columns:
        raise ValueError(
            f"value.margins needs source.transactions.columns.{margins.by}: what a line is of"
        )
    if "margin" in lines.columns:
        raise ValueError(
            "value.margins and source.transactions.columns.margin both say what margin is; keep one"
        )


def _products(config: Config) -> None:
    products, lines = config.products, config.source.transactions
    if not products.enabled:
        return
    if lines is None or "category" not in lines.columns:
        raise ValueError(
            "products.enabled needs source.transactions.columns.category: a product group of "
            "each line, such as a department"
        )
    tiers = _tiers(config)
    if not products.best_tiers or not set(products.best_tiers) <= set(tiers):
        raise ValueError(
            f"products.best_tiers is {list(products.best_tiers)}; name some of the tiers "
            f"under ranks.tiers: {tiers}"
        )


def _scenarios(config: Config) -> None:
    kinds = config.costs.service.kinds
    for name, scenario in config.what_if.items():
        uncounted = [kind for kind in scenario.service_cost_by_kind if kind not in kinds]
        if uncounted:
            raise ValueError(
                f"what_if.{name}.service_cost_by_kind names {uncounted}; name some of the "
                f"kinds under costs.service.kinds: {sorted(kinds)}"
            )


def _spend(config: Config) -> None:
    spend = config.costs.acquisition.spend
    if spend is not None and not config.spend_counts_for:
        raise ValueError(
            f"{spend.key}.columns maps {list(spend.keys)}; beside month and amount only keys "
            "under segments and report_by, or only those under contract_segments, have a "
            "meaning"
        )


def _currency(config: Config) -> None:
    for source in (config.source.transactions, config.source.contracts):
        if source is not None and "currency" in source.columns and config.currency is None:
            raise ValueError(
                f"{source.key}.columns.currency is mapped but currency is not set; "
                "name the one currency to accept, such as currency: EUR"
            )
