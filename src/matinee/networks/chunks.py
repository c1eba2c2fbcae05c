"""How many logits a loss holds at a time, from sizes alone: nothing here loads torch.

On a processor a chunk is what a core's own cache holds. On a GPU it is as wide as its products need to run at
the device's own rate, and no more bytes than `GPU_BYTES`, whatever the catalogue.
"""

from __future__ import annotations

_CPU_CELLS = 2**19
# Fewer logits would not keep a GPU busy.
_GPU_CELLS = 2**24
# Each chunk reads and writes the gradient of all items once, 8 x width bytes an item, where its own logits
# come to some 14 x rows: with 512 rows that is a fourteenth of it at width 64.
_GPU_ROWS = 512
GPU_BYTES = 2**30
_FEWEST_ROWS = 16


def chunk_rows(predictions: int, items: int, device: str, each: int = 4) -> int:
    """How many predictions' logits are held at a time, each over all items.

    Args:
        predictions: of the batch.
        items: of the catalogue.
        device: a type of torch's, such as "cpu".
        each: bytes of a logit.
    """
    items = max(items, 1)
    if device == "cpu":
        rows = _CPU_CELLS // items
    else:
        rows = min(max(_GPU_ROWS, _GPU_CELLS // items), GPU_BYTES // (each * items))
    return max(1, min(predictions, max(_FEWEST_ROWS, rows)))
