"""What the sections of the configuration have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _as_text(value: object) -> object:
    """YAML reads 16 and true as numbers and booleans; Spark's options are text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]


def _with_default(value: object) -> object:
    if isinstance(value, dict) and "default" not in value:
        raise ValueError("a mapping by segment needs the key 'default' for all other segments")
    return value


def _known_zone(value: object) -> object:
    zones = value.values() if isinstance(value, dict) else [value]
    for zone in zones:
        if not isinstance(zone, str) or zone not in available_timezones():
            raise ValueError(f"{zone!r} is not a time zone; write one such as Europe/London or UTC")
    if isinstance(value, dict) and "default" not in value:
        raise ValueError("a mapping by country needs the key 'default' for all other countries")
    return value


TimeZone = Annotated[str | dict[str, str], BeforeValidator(_known_zone)]

# Days that a date is counted back by: more would lead out of the calendar.
Days = Annotated[int, Field(le=36_500)]

# A number for everybody, or by segment with a default for all others.
BySegment = Annotated[
    Annotated[float, Field(ge=0)] | dict[str, Annotated[float, Field(ge=0)]],
    BeforeValidator(_with_default),
]


def of_segment(value: float | Mapping[str, float], segment: str, keys: int) -> float:
    """The number that holds for a segment; of a path such as ``Europe/Malta`` the nearest.

    Args:
        value: One for all, or by segment with a default.
        segment: Its name.
        keys: Number of segment keys; with a single one a slash in a name means nothing.

    Example:
        >>> rates = {"default": 0.3, "Europe": 0.2}
        >>> [of_segment(rates, name, 2) for name in ("Europe/Malta", "Asia")]
        [0.2, 0.3]
        >>> of_segment(rates, "Europe/Malta", 1), of_segment(0.1, "Asia", 1)
        (0.3, 0.1)
    """
    if not isinstance(value, Mapping):
        return value
    while segment not in value:
        if keys < 2 or "/" not in segment:
            return value["default"]
        segment = segment.rsplit("/", 1)[0]
    return value[segment]


def alike(names: Iterable[str]) -> list[str]:
    """The names that another one equals, or differs from in capitals alone, as Spark sees it.

    Example:
        >>> alike(["country", "plan", "Country"])
        ['country', 'Country']
    """
    given = list(names)
    small = [name.lower() for name in given]
    return [name for name in given if small.count(name.lower()) > 1]


class Section(BaseModel):
    """A part of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SourceSection(Section):
    """Where a source comes from and how Spark reads it; what its rows mean, subclasses say."""

    #: The section's name in messages.
    key: ClassVar[str] = "source"
    #: Whether check-source shows how it is read.
    is_shown: ClassVar[bool] = False

    format: Literal["parquet", "csv", "json", "delta", "table"] = "parquet"
    path: str | None = None
    table: str | None = None
    options: dict[str, Text] = {}
    schema_: str | None = Field(default=None, alias="schema")
    columns: dict[str, Text]
    reject: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> SourceSection:
        if self.format == "table" and (self.table is None or self.path is not None):
            raise ValueError(f"format 'table' needs {self.key}.table, and no path")
        if self.format != "table" and (self.path is None or self.table is not None):
            raise ValueError(f"format {self.format!r} needs {self.key}.path, and no table")
        if self.format in ("table", "delta") and self.schema_ is not None:
            raise ValueError(f"format {self.format!r} has its own schema; remove the key schema")
        if self.format == "table" and self.options:
            raise ValueError(f"{self.key}.options are for files; of a table nothing reads them")
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> SourceSection:
        twice = alike(self.columns)
        if twice:
            raise ValueError(
                f"{self.key}.columns maps {twice}, which differ in capitals alone: to Spark they "
                "are one column. Give one another name, or leave it out"
            )
        return self

    def require_columns(self, names: tuple[str, ...]) -> None:
        """Refuse a mapping that lacks one of these names."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise ValueError(
                f"{self.key}.columns lacks {missing}; it has {sorted(self.columns)}. "
                "Map each to a column or SQL expression of the source"
            )

    def require_known(self, names: tuple[str, ...]) -> None:
        """Refuse a mapping of names that nothing uses."""
        unknown = [name for name in self.columns if name not in names]
        if unknown:
            raise ValueError(
                f"{self.key}.columns maps {unknown}, which nothing uses; known are {sorted(names)}"
            )

    def require_own_reasons(self, taken: tuple[str, ...]) -> None:
        """Refuse a reject rule whose name the quarantine uses itself."""
        both = [reason for reason in self.reject if reason in taken]
        if both:
            raise ValueError(
                f"{self.key}.reject names {both}, which the quarantine uses itself; "
                "choose another name for the rule"
            )


class LocalSource(SourceSection):
    """A source whose times are turned into days of a time zone."""

    #: Names of the columns that are times, or days already.
    local_days: ClassVar[tuple[str, ...]] = ()

    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _country_is_known(self) -> LocalSource:
        if isinstance(self.timezone, dict) and "country" not in self.columns:
            raise ValueError(f"a time zone by country needs {self.key}.columns.country")
        return self

    @property
    def zones(self) -> dict[str, str]:
        """The time zone by country, and that of all others as 'default'."""
        return self.timezone if isinstance(self.timezone, dict) else {"default": self.timezone}
