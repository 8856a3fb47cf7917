"""The strict base class of all sections, and the types of their numbers and names."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A strict section: an unknown key or a value of the wrong type is an error and is never guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def _yaml_number(value: Any) -> Any:
    """Turn text such as `1e-5`, which YAML 1.1 reads as text because it has no dot, into a number."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""Names of encoders, intermediates, mixes and targets; they become folder names."""
Number = Annotated[float, BeforeValidator(_yaml_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rows = Annotated[int, Field(ge=1)] | None
