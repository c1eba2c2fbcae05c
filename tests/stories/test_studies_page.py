"""The page's own programs, with a step of learning filled in."""

import os
import re
import subprocess
import sys
from pathlib import Path

from matinee.tune.study import open_study

PAGE = Path(__file__).resolve().parents[2] / "docs/studies.md"


def test_the_programs_of_the_page_run(tmp_path):
    program, look = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    step = "accuracy = 1 - settings['rate'] - 0.1 * abs(settings['layers'] - 2) - 1 / (epoch + 1)"
    program, learnt = re.subn(r"\.\.\. +# learn a little", step, program)
    assert learnt == 1
    program = program.replace('["0.01usd", "30min"]', '["0.01usd", "40s"]')
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "look.py").write_text(look)
    environment = {**os.environ, "MATINEE_WATTS": "100", "MATINEE_PRICE_PER_KWH": "0.3"}
    for name in ("program.py", "look.py"):
        run = subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    study = open_study(tmp_path / "study")
    assert study.state == "done"
    assert study.clock <= 40.0
    assert len(study) > 0
