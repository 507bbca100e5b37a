# Two commands: `make run` trains, tests and exports a classifier; `make test` runs the test suite.
# Both make .venv when it is missing, with uv where it is installed and with pip where it is not.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if $(shell \
	$(p) -c 'import sys; print(int((3, 11) <= sys.version_info < (3, 14)))' 2>/dev/null | grep 1),$(p))))
UV := $(shell command -v uv 2>/dev/null)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

ifdef UV
install = uv pip install --quiet --python .venv/bin/python --compile-bytecode --require-hashes --requirement
else
install = .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
endif

.PHONY: help run report serve extras fonts test slow avx2 lint check format lock clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/run ## the whole pipeline; prints the test scores and where the images are
	@python -m tools.params
	@dvc repro
	@dvc plots show --out dvc_plots >/dev/null
	@python -m tools.summary

report: .venv/run ## the last run on one page, with all its figures; opens it in the browser
	@python -m tools.run_page

serve: .venv/serve ## a page on this machine that answers images
	@python -m tools.serve

extras: .venv/search .venv/export ## what tools.search and some export formats need

fonts: .venv/fonts ## fonts for Chinese, Japanese, Korean, Thai and Hindi class names in figures

test: .venv/dev ## the test suite
	@pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

# Three at once, as those that run sweeps wait for DVC's workers much of the time.
slow: .venv/dev ## the tests that take minutes: sweeps, recipes, every network built and run
	@pytest -m slow --numprocesses 3 --dist worksteal

avx2: .venv/dev ## tests of numbers, with the instructions of a processor without AVX-512
	@ONEDNN_MAX_CPU_ISA=AVX2 pytest -m "not slow" -k "not bfloat16" --numprocesses auto \
		--maxprocesses 4 --dist loadfile $(addprefix tests/,features models training stages evaluation)

lint: .venv/dev ## format and lint, without changing a file
	@ruff format --check .
	@ruff check .

check: lint test slow ## all that must pass before a commit

format: .venv/dev ## put every file into the one format
	@ruff format .
	@ruff check --fix .

lock: ## pin the newest versions that requirements*.in allow (needs uv)
	@$(call compile,requirements.in,requirements.txt)
	@$(call compile,requirements-search.in,requirements-search.txt,--constraints requirements.txt)
	@$(call compile,requirements-serve.in,requirements-serve.txt,--constraints requirements.txt)
	@$(call compile,requirements-export.in,requirements-export.txt,--constraints requirements.txt)
	@$(call compile,requirements-fonts.in,requirements-fonts.txt,--constraints requirements.txt)
	@$(call compile,requirements-dev.in,requirements-dev.txt,$(foreach \
		part,requirements requirements-search requirements-serve requirements-export,--constraints $(part).txt))

clean: ## remove .venv and what tools left behind; images, models and DVC's cache stay
	rm -rf .venv .pytest_cache .ruff_cache dvc_plots run.html report screenshots \
		partial-* data/partial-* models/partial-* metrics/partial-*
	find stages tools tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/python:
	@$(if $(PYTHON),,$(error thaw needs Python 3.11, 3.12 or 3.13; install one, or give its path: make PYTHON=...))
	@echo "making .venv with $(PYTHON)"
	@$(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON) .venv,$(PYTHON) -m venv .venv)
	@touch $@

.venv/run: requirements.txt | .venv/python
	@echo "installing $< into .venv (2.9 GB; a few minutes the first time)"
	@$(install) $<
	@touch $@

.venv/%: requirements-%.txt | .venv/run
	@echo "installing $< into .venv"
	@$(install) $<
	@touch $@

compile = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-emit-index-url $(3) $(1) --output-file $(2)
