# Two commands matter: `make book` and `make test`. Everything else is a part of one of them; `make help` lists the parts.
#   PYTHON=python3.12   the Python that makes .venv (3.11 or newer)
#   PORT=8001           where `make book` serves
#   TORCH_INDEX=…       a package index for torch, such as PyTorch's index of small CPU builds (Linux: saves gigabytes)
#   CHROMIUM=…          the browser that the tests drive
#   WORKERS=2           how many tests run beside each other

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 2
export PORT TORCH_INDEX CHROMIUM
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SHELL := /bin/bash# not /bin/sh: macOS's make 3.81 looks commands up in the old PATH unless a shell of our own choice does it
PYTEST := OMP_NUM_THREADS=1 pytest -q -n $(WORKERS) --dist worksteal# a core each; half of the list each, until one is done
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book html test setup frontend lint types unit colab test-frontend fresh links notebooks browser chromium bench-site bench-cpu bench-gpu record-gpu record-cpu picture publish lock clean

help: ## this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: setup ## set up, build the book, serve it on http://127.0.0.1:8000
	@python -m tools.serve --check
	@$(MAKE) --no-print-directory html
	@python -m tools.serve

html: frontend ## build the book into _build/html
	jupyter-book build -W -n --keep-going .
	@python -m tools.third_party --notices _build/html/licences.txt

test: lint types test-frontend unit fresh links notebooks browser ## everything that must hold
	@echo "All of it holds."

setup: ## .venv and node_modules as the pins say (nothing to do when they are)
	@PATH="$${PATH#$(CURDIR)/.venv/bin:}" $(PYTHON) tools/setup.py

frontend: setup ## bundle the figures into gnlib/widgets/static
	@npm run --silent build

lint: setup ## ruff: faults and formatting
	ruff check .
	ruff format --check .

types: setup ## mypy for Python, tsc for the front end
	mypy
	npm run --silent types

unit: frontend colab ## pytest: the library, the extensions, the texts
	$(PYTEST) tests --ignore=tests/browser --ignore=tests/test_notebooks.py

colab: setup ## .colab, an environment with the notebook side of Colab
	@python -m tools.colab

test-frontend: setup ## node's own test runner: the figures' arithmetic against golden.json
	npm run --silent test

fresh: ## the book from nothing, warnings are errors
	rm -rf _build
	@$(MAKE) --no-print-directory html

links: setup ## every internal link and anchor of the built book
	python -m tools.check_links

notebooks: setup colab ## run every generated notebook from an empty folder, here and as on Colab
	$(PYTEST) tests/test_notebooks.py

browser: setup chromium ## drive the built book in a real browser
	CHROMIUM="$$(python -m tools.browser)" $(PYTEST) tests/browser

chromium: setup
	@python -m tools.browser --install >/dev/null

bench-site: setup chromium ## weights and times of the built book, measured against budget
	CHROMIUM="$$(python -m tools.browser)" python -m tools.bench_site

bench-cpu: setup ## time the layers against torch.nn's, about ten minutes; appends to results/ (BENCH="--only REGEX --dry")
	python -m benchmarks $(BENCH)

bench-gpu: ## check the GPU kernels against float64, then time them: nine minutes; appends to results/; needs a GPU, no set-up
	$(PYTHON) -m benchmarks.gpu $(BENCH)

record-gpu: ## run what is still missing of the recorded experiments (SECONDS=1500, GNLIB_DATA=folder); needs a GPU, no set-up
	$(PYTHON) -m tools.record $(if $(SECONDS),--seconds $(SECONDS))

record-cpu: setup ## the same in the reduced forms, for a CPU: hours
	python -m tools.record --reduced $(if $(SECONDS),--seconds $(SECONDS))

picture: html chromium ## take the README's moving picture again
	CHROMIUM="$$(python -m tools.browser)" python -m tools.picture

publish: ## push the built book to the branch gh-pages of origin (GitHub Pages: deploy from that branch)
	@test -f _build/html/index.html || { echo "There is no book to publish yet: run make html first" >&2; exit 1; }
	touch _build/html/.nojekyll
	@set -e; export GIT_INDEX_FILE="$(CURDIR)/_build/publish.index" GIT_DIR="$$(git rev-parse --absolute-git-dir)"; rm -f "$$GIT_INDEX_FILE"; \
	git --work-tree=_build/html add --all --force .; tree=$$(git write-tree); \
	commit=$$(git -c user.name="make publish" -c user.email=publish@localhost commit-tree $$tree -m "The book at $$(git rev-parse --short HEAD)"); \
	git push --force origin $$commit:refs/heads/gh-pages

lock: setup ## resolve requirements/*.in and package.json again
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade requirements/book.in -o requirements/book.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade requirements/node.in -o requirements/node.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade requirements/colab.in -o requirements/colab.txt
	npm install --package-lock-only --ignore-scripts

clean: ## remove what was built (set-up stays)
	rm -rf _build gnlib/widgets/static dist
