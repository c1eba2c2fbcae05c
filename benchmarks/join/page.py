"""docs/blend.md, written from results/blend.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent.parent / "docs" / "blend.md"
LEVEL = 0.05
_HEAD = """# How the network and the closed forms are joined

`blend` multiplies what its parts say: the network's chance of an item times the score of `transitions` to a
power, and so on with a third part. This page has what other ways to join them came to. Written by
`python benchmarks/blend.py` from `benchmarks/results/blend.json`.

All of it is MovieLens-1M, the last event of each viewer left out, fitted on train with one seed and judged on
the validation events of {viewers:,} viewers over the whole catalogue; the test events play no part. What is
chosen here is chosen on one half of the viewers and judged on the other. The parts' own defaults were chosen
earlier, on these same validation events, so the figures themselves flatter; what counts is their differences.
Brackets are 95 % intervals over viewers; p is that of a paired sign-flip test, after Holm's correction for
the whole table. CPU-seconds are those of one thread, of the fits of the closed forms that a row needs.
"""
_NOTES = """What the columns do not say:

- weights of viewers and items are chosen for sorts of them: quarters of the viewers, thirds of the events.
  *Who foretold their last events* asks both parts for the last three events of a viewer's train history,
  which both were fitted on: events held back might tell more;
- a third part is tried with weights from .1 to 1 (chosen: floor, its weight, that of `transitions`). None of
  them is 0, so a part that is worth nothing still has to be in; and where 1 was chosen, more was not tried;
- differences are to the product with one weight alone: two rows that lie close are not compared with each
  other.
"""
_MISSING = """Networks that learn with the closed form beside them (out of fold, its residual, taught by it,
started as it) are not measured yet: `python benchmarks/blend.py --only training`.
"""
_TRAINING = """Networks of {passes} passes, alike but for what they know of `transitions` while they learn:

- *knows it, out of fold*: log scores of a closed form that was fitted on other viewers (three folds) are
  added to the logits in training;
- *learns its residual*: the same with the closed form that was fitted on everybody;
- *is taught by it*: 30 % of each target is the closed form's;
- *starts as it*: item vectors and the first layer's projections are least squares of the closed form, so that
  the network answers alike before it learns; *not trained* is how near that comes.

The first table has them alone, the second in the product with `transitions`.
"""


def page(result: Mapping[str, Any]) -> str:
    """The whole page; a table that was not measured yet is said to be missing."""
    parts: list[str] = []
    if "joins" in result:
        parts += [_HEAD.format(viewers=result["joins"]["viewers"]), *_joins(result["joins"])]
    parts += _training(result["training"]) if "training" in result else [_MISSING]
    return "\n".join(parts).rstrip() + "\n"


def _joins(found: Mapping[str, Any]) -> Iterator[str]:
    yield "## One network, many ways\n"
    network = found["fit_cpu_s"]["network"]
    yield (
        f"`sequential` with its defaults and at most {found['passes']} passes ({network:,.0f} CPU-s). "
        "Its settings stand in the result. Rows are compared with the product of one weight.\n"
    )
    yield from _table(found["rows"], "closed forms, CPU-s")
    yield from _verdict(found["rows"], "the product with one weight")
    yield _NOTES
    took = "; ".join(f"{name} {spent:.1f}" for name, spent in found["answer_cpu_s"].items())
    yield f"CPU-seconds of scoring all {found['viewers']:,} viewers: {took}.\n"
    yield f"`{found['command']}`\n"


def _training(found: Mapping[str, Any]) -> Iterator[str]:
    yield "## Networks that know the closed form\n"
    yield _TRAINING.format(passes=found["passes"])
    for rows, whole in (
        (found["rows"], "the plain network"),
        (found["joined"], "the plain network's product"),
    ):
        yield from _table(rows, "CPU-s")
        yield from _verdict(rows, whole)
    yield f"`{found['command']}`\n"


def _table(rows: Sequence[Mapping[str, Any]], cost: str) -> Iterator[str]:
    yield f"| | ndcg@10 | hit@10 | difference | p | chosen | {cost} |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        gap = p = ""
        if "difference" in row:
            gap = _interval(row["difference"], row["difference se"], signed=True)
            p = "<.001" if row["p_holm"] < 0.001 else _number(row["p_holm"], 3)
        yield (
            f"| {row['name']} | {_interval(row['ndcg@10'], row['ndcg@10 se'])} | {_number(row['hit@10'])} "
            f"| {gap} | {p} | {_chosen(row['chosen'])} | {row['fit_cpu_s']:,.0f} |"
        )
    yield ""


def _verdict(rows: Sequence[Mapping[str, Any]], whole: str) -> Iterator[str]:
    """Which rows can be told from the one that they are compared with."""
    told = [row for row in rows if row.get("p_holm", 1.0) < LEVEL]
    words = {
        f"Better than {whole}": [row for row in told if row["difference"] > 0],
        f"Worse than {whole}": [row for row in told if row["difference"] < 0],
        "Not to be told from it": [row for row in rows if row.get("p_holm", 0.0) >= LEVEL],
    }
    for what, some in words.items():
        names = [f"{row['name']} ({_number(row['difference'], signed=True)})" for row in some]
        yield f"{what}: {'; '.join(names) or 'none'}.\n"


def _chosen(halves: Sequence[Sequence[Sequence[float]]]) -> str:
    """The settings that the two halves chose: numbers of a setting with spaces, labels with commas."""
    words = [", ".join(" ".join(f"{number:g}" for number in setting) for setting in half) for half in halves]
    return "; ".join(dict.fromkeys(words))


def _interval(mean: float, error: float, *, signed: bool = False) -> str:
    low, high = mean - 1.96 * error, mean + 1.96 * error
    return f"{_number(mean, signed=signed)} [{_number(low, signed=signed)} {_number(high, signed=signed)}]"


def _number(value: float, digits: int = 4, *, signed: bool = False) -> str:
    word = f"{abs(value):.{digits}f}"
    word = word.removeprefix("0") if abs(value) < 1 else word
    sign = "−" if value < 0 else "+" if signed else ""
    return f"{sign}{word}"
