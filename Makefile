# `make` alone lists what there is. All set-up happens by itself, in .ci/env.py.
# A Python 3.11 or newer is looked for; `make PYTHON=/path/to/python test` names one.
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.14 python
NEW_ENOUGH := -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'
# Looked for when a recipe first needs it, and then remembered.
PYTHON ?= $(eval PYTHON := $(shell \
	for p in $(CANDIDATES) "$$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3; do \
	"$$p" $(NEW_ENOUGH) 2>/dev/null && echo "$$p" && exit; done; \
	uv python find '>=3.11' 2>/dev/null))$(PYTHON)
NOT_FOUND := echo "No Python 3.11 or newer was found: name one with make PYTHON=/path/to/python" >&2; exit 1;
RUN = $(if $(PYTHON),"$(PYTHON)" .ci/env.py,$(NOT_FOUND))
ARGS ?=

.PHONY: help demo fast test fix check bench lock clean
help:   ## list these targets
	@sed -n 's/^\([a-z]*\): *## /  make \1\t/p' Makefile
demo:   ## watch real servers guard real requests; SERVE=1 leaves them running
	@$(RUN) demo -m examples.demo
test:   ## run the suite; ARGS="tests/rules -x" goes to pytest, COVERAGE=1 records coverage
	@$(RUN) test .ci/suite.py $(ARGS)
fast:   ## run the tests that need no service, server, browser or patience; ARGS as for test
	@$(RUN) test .ci/suite.py --fast $(ARGS)
fix:    ## format, mend what the linter can mend, and write docs/options.md
	@$(RUN) dev .ci/fix.py
check:  ## format, lint, types, import floors, coverage gate, examples, other Pythons
	@$(RUN) dev .ci/check.py
bench:  ## measure what we promise, beside the floor and our peers
	@$(RUN) --folder .venv-bench bench -m benchmarks $(ARGS)
lock:   ## renew the locked versions
	@$(RUN) --folder .venv-lock lock .ci/relock.py
clean:  ## remove environments, caches and reports
	rm -rf .venv .venv-* .coverage .coverage.* .*_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
