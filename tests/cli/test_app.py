"""How the command line ends: with a sentence and a status, also when it is stopped."""

import os
import signal
import subprocess
import sys
import time

import pytest

LONG = """
import time
from matinee.cli import app
from matinee.recipes import check

def wait(*_, **__):
    print("waiting", flush=True)
    time.sleep(60)

check.check_files = wait
app.main()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_a_sentence_and_exit_status_1(how):
    words = [sys.executable, "-c", LONG, "check", "log.csv"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(how)
    said = process.communicate(timeout=300)[1]
    assert said == "matinee: Stopped; nothing was written.\n"
    assert process.returncode == 1


def test_ctrl_c_in_a_comparison_ends_its_fits_too(tmp_path):
    rows = "".join(
        f"u{v},i{(v * 7 + e) % 50},{1_700_000_000 + 60 * e}\n" for v in range(3_000) for e in range(20)
    )
    (tmp_path / "log.csv").write_text("user,item,time\n" + rows)
    words = [sys.executable, "-m", "matinee", "compare", "log.csv", "--recommenders", "ials", "--tries", "50"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    limit = time.monotonic() + 300
    while not list(tmp_path.glob("matinee-compare-*/ials-*/job.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=300)[1].endswith("matinee: Stopped; nothing was written.\n")
    assert process.returncode == 1
    assert not list(tmp_path.glob("matinee-compare-*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["check"], 2), (["nothing"], 2), ([], 2)])
def test_help_and_wrong_calls_keep_their_statuses(words, status):
    done = subprocess.run(
        [sys.executable, "-m", "matinee", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert "Stopped" not in done.stderr


@pytest.mark.parametrize("words", ["import matinee", "import matinee.cli; matinee.cli.main()"])
def test_neither_the_import_nor_the_help_loads_torch(words):
    code = f"import sys; sys.argv = ['matinee', '--help']\nimport atexit\n{SAY_TORCH}\n{words}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "torch: False\n"


SAY_TORCH = "atexit.register(lambda: print('torch:', 'torch' in sys.modules, file=sys.stderr))"
