# Everything a developer types. Plain venv and pip; nothing here needs to be installed first but Python 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
# One process a core for the tests; each does its own arithmetic on one thread.
TEST_THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: setup demo serve test check lint bench clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('matinee needs Python 3.11 or newer, found ' + sys.version.split()[0] + ': make PYTHON=python3.11 setup') if sys.version_info < (3, 11) else None"
	@echo "Setting up .venv: about 2 GB, most of it torch. It takes minutes, most of them silent."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@if git rev-parse --git-dir >/dev/null 2>&1; then git config core.hooksPath .githooks; fi
	@touch $@

demo: setup
	$(BIN)/matinee demo --dir demo

serve: setup
	test -d demo/bundle || $(BIN)/matinee demo --dir demo
	$(BIN)/matinee serve demo/bundle --store sqlite:///demo/events.db

test: setup
	$(TEST_THREADS) $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

# The long tests, then every claim measured again; results land in benchmarks/results/.
bench: setup
	$(BIN)/pytest -m long
	for program in accuracy blend bulk cold compact context ddp demo friends ingest memory_train network newcomer peers/ours ratings refresh regions simulated tuned tuning_coordinator tuning_kills tuning_toys update; do $(BIN)/python benchmarks/$$program.py || exit 1; done
	$(BIN)/python benchmarks/figures.py

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
