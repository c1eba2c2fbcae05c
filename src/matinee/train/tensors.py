"""The tensors of a batch, whatever it is made of: dataclasses, tuples and dicts, inside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


def map_tensors(batch: T, change: Callable[[Tensor], Tensor]) -> T:
    """The same batch with every tensor changed; what is no tensor stays.

    Args:
        batch: a tensor, or a dataclass, tuple or dict of such and anything else.
        change: called once for each tensor, in order.
    """
    changed: T = _mapped(batch, change)
    return changed


def tensors_of(batch: object) -> list[Tensor]:
    """The tensors of a batch, in order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(batch, keep)
    return found


def _mapped(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(part, Tensor):
        return change(part)
    if isinstance(part, dict):
        return {name: _mapped(one, change) for name, one in part.items()}
    if type(part) is tuple:
        return tuple(_mapped(one, change) for one in part)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(
            part, **{field.name: _mapped(getattr(part, field.name), change) for field in fields(part)}
        )
    return part
