"""The bar as a terminal shows it: on a narrow one the words are cut, the share never."""

import io
import os
import pty
import subprocess
import sys

from matinee.cli import output

SHOW = """
import time
from matinee.cli.output import Output

with Output(None, False).progress() as progress:
    progress("sequential: pass 3 of 12, loss 5.82, ndcg@10 .171, 2:10 left, $0.0004 [bold]", 0.42)
    time.sleep(0.4)
"""


def shown(columns):
    """What a terminal of so many columns gets."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", SHOW], stderr=follower, env=environment) as process:
        os.close(follower)
        words = io.BytesIO()
        while True:
            try:
                block = os.read(leader, 4096)
            except OSError:
                break
            if not block:
                break
            words.write(block)
    os.close(leader)
    assert process.returncode == 0
    return words.getvalue().decode()


def test_a_wide_terminal_shows_all_that_a_fit_says():
    said = shown(120)
    assert "42%" in said
    assert "sequential: pass 3 of 12, loss 5.82, ndcg@10 .171, 2:10 left, $0.0004 [bold]" in said


def test_a_narrow_terminal_shows_the_share_and_the_beginning():
    said = shown(60)
    assert "42%" in said
    assert "sequential: pass 3" in said
    assert "[bold]" not in said
    assert "…" in said


def test_a_log_file_gets_a_line_every_half_minute(monkeypatch, capsys):
    clock = iter([0.0, 10.0, 31.0, 31.0, 40.0, 62.0, 62.0])
    monkeypatch.setattr(output, "monotonic", lambda: next(clock))
    with output.Output(None, False).progress() as progress:
        for number in range(4):
            progress(f"ease: pass {number}", number / 10)
    assert capsys.readouterr().err == " 10% ease: pass 1\n 30% ease: pass 3\n"


def test_a_pipe_gets_no_bar():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
