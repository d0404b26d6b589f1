# Two commands: `make demo` trains on real data, `make test` runs every check. Both set up first.
.PHONY: setup demo test lint bench clean
BIN := .venv/bin

setup:
	@sh tools/setup.sh

demo: setup
	@$(BIN)/veilflow run configs/pipelines/anonymous_hospital_insurer.yaml --out runs/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p .typecheck && ln -sfn .. .typecheck/veilflow
	MYPYPATH=.typecheck $(BIN)/mypy -p veilflow
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/pytest

clean:
	rm -rf .venv .bootstrap .typecheck build dist *.egg-info
