# Two commands: `make run` trains, tests and exports a classifier; `make test` runs the test suite.
# Both make .venv when it is missing, with uv where it is installed and with pip where it is not.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if $(shell \
	$(p) -c 'import sys; print(int((3, 11) <= sys.version_info < (3, 14)))' 2>/dev/null | grep 1),$(p))))
UV := $(shell command -v uv 2>/dev/null)

# TensorFlow has wheels of 64 bits, for Linux with the GNU C library and for macOS on Apple's chips.
NO_WHEEL := $(strip $(filter Darwin-x86_64 %-armv6l %-armv7l %-i686,$(shell uname -sm | tr ' ' -)) \
	$(shell ldd --version 2>&1 | grep -o musl))

ifdef UV
install = uv pip install --quiet --python .venv/bin/python --compile-bytecode --require-hashes --requirement
else
install = .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
endif

.PHONY: help run report serve review extras hub parquet ray fonts gpu test slow avx2 lint check format audit lock clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/run ## the whole pipeline; prints the test scores and where the images are
	@.venv/bin/python -m tools.params
	@.venv/bin/dvc repro
	@.venv/bin/dvc plots show --out dvc_plots >/dev/null
	@.venv/bin/python -m tools.summary

report: .venv/run ## the last run on one page, with all its figures; opens it in the browser
	@.venv/bin/python -m tools.run_page

serve: .venv/serve ## a page on this machine that answers images
	@.venv/bin/python -m tools.serve

review: .venv/review ## a page on this machine that goes through likely wrong labels
	@.venv/bin/python -m tools.review

extras: .venv/search .venv/export ## what tools.search and some export formats need

hub: .venv/hub ## what presets of KerasHub as backbones need

parquet: .venv/parquet ## what Parquet files as sources of images need

ray: .venv/ray ## what runtime.engine: ray needs, for several hosts

fonts: .venv/fonts ## fonts for Chinese, Japanese, Korean, Thai and Hindi class names in figures

gpu: .venv/gpu ## what TensorFlow needs for a GPU of NVIDIA's

test: .venv/dev ## the test suite
	@.venv/bin/pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

# Three at once, as those that run sweeps wait for DVC's workers much of the time.
slow: .venv/dev ## the tests that take minutes: sweeps, recipes, every network built and run
	@.venv/bin/pytest -m slow --numprocesses 3 --dist worksteal

avx2: .venv/dev ## tests of numbers, with the instructions of a processor without AVX-512
	@ONEDNN_MAX_CPU_ISA=AVX2 .venv/bin/pytest -m "not slow" -k "not bfloat16 and not test_int8" \
		--numprocesses auto --maxprocesses 4 --dist loadfile \
		$(addprefix tests/,features models training stages evaluation)

lint: .venv/dev ## format and lint, without changing a file
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .

check: lint test slow ## all that must pass before a commit

format: .venv/dev ## put every file into the one format
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

audit: .venv/audit ## ask a public database for known holes in the pinned packages
	@.venv/bin/python ci/audit requirements*.txt

lock: ## pin the newest versions that requirements*.in allow (needs uv)
	@$(call compile,requirements.in,requirements.txt)
	@$(call compile,requirements-search.in,requirements-search.txt,--constraints requirements.txt)
	@$(call compile,requirements-serve.in,requirements-serve.txt,--constraints requirements.txt)
	@$(call compile,requirements-review.in,requirements-review.txt,$(foreach \
		part,requirements requirements-serve,--constraints $(part).txt))
	@$(call compile,requirements-export.in,requirements-export.txt,--constraints requirements.txt)
	@$(call compile,requirements-hub.in,requirements-hub.txt,--constraints requirements.txt)
	@$(call compile,requirements-parquet.in,requirements-parquet.txt,--constraints requirements.txt)
	@$(call compile,requirements-ray.in,requirements-ray.txt,--constraints requirements.txt)
	@$(call compile,requirements-fonts.in,requirements-fonts.txt,--constraints requirements.txt)
	@$(call compile,requirements-gpu.in,requirements-gpu.txt,--constraints requirements.txt)
	@$(call compile,requirements-dev.in,requirements-dev.txt,$(foreach \
		part,requirements requirements-search requirements-serve requirements-review \
		requirements-export requirements-hub requirements-parquet requirements-ray,--constraints $(part).txt))
	@$(call compile,requirements-audit.in,requirements-audit.txt,--constraints requirements-dev.txt)

clean: ## remove .venv and what tools left behind; images, models and DVC's cache stay
	rm -rf .venv .pytest_cache .ruff_cache dvc_plots run.html report screenshots \
		learning_curve.png label_next.csv label_next.png \
		partial-* data/partial-* models/partial-* metrics/partial-*
	find stages tools tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/python:
	@$(if $(PYTHON),,$(error thaw needs Python 3.11, 3.12 or 3.13; install one, or give its path: make PYTHON=...))
	@echo "making .venv with $(PYTHON)"
	@$(if $(UV),uv venv --quiet --allow-existing --python $(PYTHON) .venv,$(PYTHON) -m venv .venv)
	@touch $@

# What .venv/bin/dvc starts finds this Python by itself, also from cron, with nothing activated.
.venv/path: ci/environment.pth | .venv/python
	@cp ci/environment.pth .venv/lib/python3*/site-packages/
	@touch $@

.venv/run: requirements.txt | .venv/path
	@$(if $(NO_WHEEL),$(error $(NO_WHEEL) has no wheel of TensorFlow; README.md names the systems that have))
	@echo "installing $< into .venv (2.9 GB; a few minutes the first time)"
	@$(install) $<
	@touch $@

.venv/%: requirements-%.txt | .venv/run
	@echo "installing $< into .venv"
	@$(install) $<
	@touch $@

compile = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-emit-index-url $(3) $(1) --output-file $(2)
