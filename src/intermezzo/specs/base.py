"""What all specifications are made of: strictness, canonical JSON, and reading that names every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

from intermezzo.core.artifacts import canonical
from intermezzo.core.errors import UserError
from intermezzo.core.validation import describe

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[frozenset[str], PlainSerializer(sorted)]
"""Names without an order."""


class Spec(BaseModel):
    """A specification or a part of one: unknown keys and values of another type are errors, never guesses."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @property
    def online(self) -> bool:
        """Whether the job needs the network."""
        return False

    def as_json(self) -> dict[str, Any]:
        """The specification as JSON values, without fields that have their default."""
        return self.model_dump(by_alias=True, exclude_defaults=True)

    def canonical(self) -> str:
        """The specification as canonical JSON: equal specifications give equal text."""
        return canonical(self.as_json())

    @classmethod
    def read(cls, value: str | Mapping[str, Any]) -> Self:
        """The specification that a JSON text or its values describe. Raises UserError with every problem in it."""
        spec: Self = read(cls, value)
        return spec

    def replace(self, **changes: Any) -> Self:
        """A copy with other values of some fields, checked like a new one."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)


def read(kind: Any, value: str | Mapping[str, Any]) -> Any:
    """The same for a model or a union of models.

    Raises UserError that names, for each problem, the key, the value, and what is allowed.
    """
    text = value if isinstance(value, str) else canonical(value)
    try:
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        lines = describe(error.errors(), kind)
        number = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
        raise UserError(f"the specification has {number}:\n" + "\n".join(f"  {line}" for line in lines)) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
