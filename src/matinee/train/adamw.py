"""AdamW in one kernel for all parameters (Loshchilov and Hutter 2019, "Decoupled weight decay").

The kernel is that of `torch.optim.AdamW(fused=True)`, called directly: making one of torch's own optimisers
loads its compiler, which costs two CPU-seconds and 70 MB: as much as a small fit. Tests hold the two equal.

A table whose gradient is sparse is moved row by row (rows.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from matinee.train.rows import RowMoments

_EPS = 1e-8


class AdamW:
    """The moments of some parameters.

    Args:
        parameters: by name; those that need no gradient are left alone.
        betas: decays of the first and the second moment.
        weight_decay: how hard weight matrices are pulled to zero.
        undecayed: names of matrices that are not; vectors and scalars never are.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
        undecayed: Sequence[str] = (),
    ) -> None:
        self._parameters = {name: p for name, p in parameters.items() if p.requires_grad}
        self._decays = {
            name: 0.0 if p.dim() < 2 or name in undecayed else weight_decay
            for name, p in self._parameters.items()
        }
        self._betas = betas
        self._moments: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        self._rows: dict[str, RowMoments] = {}
        # Of the last step, by table: the rows that it moved, and what they were before.
        self.moved: dict[str, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter that has a gradient, and drop the gradient.

        Args:
            rate: learning rate of this step.
        """
        self._step_rows(rate)
        for decay in set(self._decays.values()):
            alike = [name for name, found in self._decays.items() if found == decay]
            names = [name for name in alike if self._parameters[name].grad is not None]
            if not names:
                continue
            moved: list[Tensor] = [self._parameters[name] for name in names]
            moments = [self._moment(name) for name in names]
            counts = [count for _, _, count in moments]
            torch._foreach_add_(counts, 1.0)
            torch._fused_adamw_(
                moved,
                [p.grad for p in moved if p.grad is not None],
                [first for first, _, _ in moments],
                [second for _, second, _ in moments],
                [],
                counts,
                lr=rate,
                beta1=self._betas[0],
                beta2=self._betas[1],
                weight_decay=decay,
                eps=_EPS,
                amsgrad=False,
                maximize=False,
            )
            for parameter in moved:
                parameter.grad = None

    def _step_rows(self, rate: float) -> None:
        """Move the rows of tables whose gradients are sparse; what is not touched is not pulled to 0."""
        self.moved = {}
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            if gradient is None or not gradient.is_sparse:
                continue
            gradient = gradient.coalesce()
            if self._decays[name]:
                rows = gradient.indices()[0]
                kept = parameter.index_select(0, rows) * (1.0 - rate * self._decays[name])
                parameter.index_copy_(0, rows, kept)
            moments = self._rows.setdefault(name, RowMoments(parameter))
            self.moved[name] = moments.step(parameter, gradient, rate, self._betas)
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Moments and counts of steps by name; what `load` takes."""
        by_row = {
            f"rows.{kind}/{name}": tensor
            for name, moments in self._rows.items()
            for kind, tensor in moments.tensors().items()
        }
        return by_row | {
            f"{kind}/{name}": tensor
            for name, moments in self._moments.items()
            for kind, tensor in zip(("first", "second", "count"), moments, strict=True)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up moments where they stood."""
        self._moments, self._rows = {}, {}
        for name, parameter in self._parameters.items():
            if f"rows.counts/{name}" in tensors:
                self._rows[name] = RowMoments(parameter)
                self._rows[name].load(
                    {kind: tensors[f"rows.{kind}/{name}"] for kind in self._rows[name].tensors()}
                )
            if f"count/{name}" in tensors:
                first, second, count = (
                    tensors[f"{kind}/{name}"].to(parameter.device, copy=True)
                    for kind in ("first", "second", "count")
                )
                self._moments[name] = (first, second, count)

    def _moment(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        if name not in self._moments:
            p = self._parameters[name]
            count = torch.zeros((), dtype=torch.float32, device=p.device)
            self._moments[name] = (torch.zeros_like(p), torch.zeros_like(p), count)
        return self._moments[name]


def clip_gradients(parameters: Sequence[Tensor], norm: float) -> None:
    """Scale all gradients so that their norm together is at most this one."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            # Rows that were read twice are added up before they are measured.
            parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad.values())
        elif parameter.grad is not None:
            gradients.append(parameter.grad)
    total = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in gradients]))
    torch._foreach_mul_(gradients, (norm / (total + 1e-6)).clamp_max(1.0))
