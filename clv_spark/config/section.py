"""What the sections of the configuration have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _as_text(value: object) -> object:
    """YAML reads 16 and true as numbers and booleans; Spark's options are text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Section(BaseModel):
    """A part of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SourceSection(Section):
    """Where a source comes from and how Spark reads it; what its rows mean, subclasses say."""

    #: The section's name in messages.
    key: ClassVar[str] = "source"

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
        return self

    def require_columns(self, names: tuple[str, ...]) -> None:
        """Refuse a mapping that lacks one of these names."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise ValueError(
                f"{self.key}.columns lacks {missing}; it has {sorted(self.columns)}. "
                "Map each to a column or SQL expression of the source"
            )

    def require_own_reasons(self, taken: tuple[str, ...]) -> None:
        """Refuse a reject rule whose name the quarantine uses itself."""
        both = [reason for reason in self.reject if reason in taken]
        if both:
            raise ValueError(
                f"{self.key}.reject names {both}, which the quarantine uses itself; "
                "choose another name for the rule"
            )
