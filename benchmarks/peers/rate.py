"""How fast this machine multiplies matrices on one thread, fp32 and bf16: `python -m peers.rate`, as JSON."""

from __future__ import annotations

import json
import os
import time

import torch

_SIDE = 2048
_TIMES = 5


def gflops(dtype: torch.dtype) -> float:
    """GFLOP of a product of squares for each CPU-second, the best of several."""
    left, right = torch.randn(_SIDE, _SIDE).to(dtype), torch.randn(_SIDE, _SIDE).to(dtype)
    best = float("inf")
    for _ in range(_TIMES):
        begin = time.process_time()
        torch.mm(left, right)
        best = min(best, time.process_time() - begin)
    return 2 * _SIDE**3 / best / 1e9


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(
        json.dumps(
            {
                "matrix": _SIDE,
                "threads": torch.get_num_threads(),
                "fp32_gflops": round(gflops(torch.float32), 1),
                "bf16_gflops": round(gflops(torch.bfloat16), 1),
            }
        )
    )
