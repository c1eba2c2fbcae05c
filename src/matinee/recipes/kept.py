"""Fitted parts on disk: what one row of a comparison fitted, another finds instead of fitting it again.

```
FOLDER/KEY/part.json             name, kind and settings of the part; what was said of its fit
FOLDER/KEY/weights.safetensors   its tensors
FOLDER/KEY/sums.safetensors      its sums, where they are kept
```
A key stands for recommender, settings, seed and the log that the part was fitted on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.answers.context import context_of
from matinee.answers.model import Model
from matinee.answers.tensors import read_tensors, write_tensors
from matinee.core.promise import Log, Part
from matinee.recipes.spent import Meter, peak_rss_mb, read_facts, write_facts

# What a model's part is said to have cost where the cost is the whole model's.
_FREE = {"cpu_s": 0.0, "wall_s": 0.0}


class KeptParts:
    """The parts in a folder, as one fit sees them, and what those that it found had cost.

    Args:
        folder: where parts lie; made when the first is kept.
        log: what tells the log that is fitted on from others.
        sums: whether a part's sums are kept too: only updates of a fit need them.

    Attributes:
        found_cpu_s: CPU-seconds that the fits of the parts found here had taken.
        found_wall_s: wall seconds of the same.
        found_peak_mb: the largest peak memory of them.
    """

    def __init__(self, folder: Path, log: str, *, sums: bool = False) -> None:
        self._folder, self._log, self._sums = folder, log, sums
        self._meter = Meter(None)
        self._own: set[str] = set()
        self._found: set[str] = set()
        self.found_cpu_s = self.found_wall_s = self.found_peak_mb = 0.0

    def find(
        self, name: str, settings: Mapping[str, Any], seed: int
    ) -> tuple[Part, Mapping[str, Any]] | None:
        """A part that was kept; what it had cost counts once, and not where this fit kept it itself."""
        key = self._key(name, settings, seed)
        place = self._folder / key
        if not (place / "part.json").exists():
            return None
        facts = read_facts(place / "part.json")
        if key not in self._own | self._found:
            self._found.add(key)
            self.found_cpu_s += facts["facts"].get("cpu_s", 0.0)
            self.found_wall_s += facts["facts"].get("wall_s", 0.0)
            self.found_peak_mb = max(self.found_peak_mb, facts["facts"].get("peak_rss_mb", 0.0))
        sums = place / "sums.safetensors"
        part = Part(
            kind=facts["kind"],
            settings=facts["settings"],
            tensors=read_tensors(place / "weights.safetensors"),
            sums=read_tensors(sums) if sums.exists() else {},
        )
        self._meter = Meter(None)
        return part, facts["facts"]

    def keep(
        self, name: str, settings: Mapping[str, Any], seed: int, part: Part, facts: Mapping[str, Any]
    ) -> None:
        """Keep a part; a cost that is not said is what this process took since it last kept or found."""
        measured = {"cpu_s": self._meter.cpu_s, "wall_s": self._meter.wall_s, "peak_rss_mb": peak_rss_mb()}
        key = self._key(name, settings, seed)
        self._own.add(key)
        draft = self._folder / f"{key}.{os.getpid()}.draft"
        # Of a process that was killed, and whose number is this one's again.
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_tensors(draft / "weights.safetensors", part.tensors)
        if self._sums and part.sums:
            write_tensors(draft / "sums.safetensors", part.sums)
        about = {"name": name, "kind": part.kind, "settings": dict(part.settings)}
        write_facts(draft / "part.json", {**about, "facts": {**measured, **facts}})
        shutil.rmtree(self._folder / key, ignore_errors=True)
        draft.rename(self._folder / key)
        self._meter = Meter(None)

    def keep_model(self, model: Model, seed: int, facts: Mapping[str, Any]) -> None:
        """Keep every part of a model under its name, unless it was found here."""
        if self._key(model.name, model.config, seed) in self._found:
            return
        others = [name for name in model.parts if name != model.name]
        for name in others:
            self.keep(f"{model.name}/{name}", model.config, seed, model.parts[name], _FREE)
        about = {"parts": others, "model": dict(model.facts), **facts}
        self.keep(model.name, model.config, seed, model.parts[model.name], about)

    def find_model(self, name: str, config: Mapping[str, Any], seed: int, log: Log) -> Model | None:
        """A model whose parts were all kept, over the log that it was fitted on."""
        found = self.find(name, config, seed)
        if found is None:
            return None
        part, facts = found
        parts = {name: part}
        for other in facts.get("parts", ()):
            inner = self.find(f"{name}/{other}", config, seed)
            if inner is None:
                return None
            parts[other] = inner[0]
        said = facts.get("model", {})
        return Model(name=name, config=config, parts=parts, log=log, context=context_of(log), facts=said)

    def _key(self, name: str, settings: Mapping[str, Any], seed: int) -> str:
        words = json.dumps([name, dict(settings), seed, self._log], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:32]
