"""The strict base class of all sections, and the types of their numbers and names.

Values may be text where a number, a truth value or null is asked for: YAML reads 1e-5 as text, and Snakemake hands on
everything within a `--config` value as text. Upper limits are beyond what any machine can train or hold: a number above
one is a slip of the hand.
"""

from __future__ import annotations

import re
import types
import typing
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

_NULL = frozenset({"null", "Null", "NULL", "~", ""})
_TRUTH = {word: word in ("true", "yes", "on") for word in ("true", "yes", "on", "false", "no", "off")}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WHOLE = re.compile(r"[-+]?\d{1,18}")


class Section(BaseModel):
    """A strict section: an unknown key or a value of the wrong type is an error and is never guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _null(cls, value: Any, info: ValidationInfo) -> Any:
        """Take the text `null` for null where the key has it."""
        if isinstance(value, str) and value in _NULL and _takes_null(cls.model_fields[str(info.field_name)].annotation):
            return None
        return value


def is_null(value: Any) -> bool:
    """Is it null, or the text that stands for it in `--config`?"""
    return value is None or (isinstance(value, str) and value in _NULL)


def _takes_null(annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _takes_null(arguments[0])
    return origin in (typing.Union, types.UnionType) and type(None) in arguments


def _number(value: Any) -> Any:
    """A number of text such as `1e-5`."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else value


def _whole(value: Any) -> Any:
    """A whole number of text such as `32`."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else value


def _truth(value: Any) -> Any:
    """A truth value of text such as `true`."""
    return _TRUTH.get(value.strip().lower(), value) if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=100)]
"""Names of encoders, intermediates, mixes and targets; they become folder names, four of them in one path."""
Place = Annotated[str, Field(max_length=4000)]
"""A folder, or what stands for one; systems take paths of 4,096 bytes."""
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_whole)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Workers = Annotated[Whole, Field(ge=1, le=1024)]
"""Threads or processes of a job, which runs on one machine."""
BatchSize = Annotated[Whole, Field(ge=1, le=100_000)]
Tokens = Annotated[Whole, Field(ge=1, le=10**9)]
"""Tokens that are computed at once."""
Length = Annotated[Whole, Field(ge=8, le=131_072)]
"""Tokens of an input: room for the special tokens and a few others; above, the longest context that any encoder has."""
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Rows = Annotated[Whole, Field(ge=1, le=10**9)] | None
"""A number of rows; Parquet files of a billion rows fill any disk."""
LearningRate = Annotated[Positive, Field(le=1000)]
WeightDecay = Annotated[Number, Field(ge=0, le=1000)]
Clip = Annotated[Positive, Field(le=1e9)]
Temperature = Annotated[Number, Field(ge=0.1, le=1000)]
"""The exponent of a number of rows is 1/temperature: below 0.1 it overflows, above 1000 all are alike."""
MOST = Field(max_length=1000)
"""Entries of a list of the grid, which is the product of its lists."""
