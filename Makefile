# Two commands: `make demo` trains on real data, `make test` runs every check. Both set up first.
.PHONY: setup demo test test-stock lint lock wheel sbom audit clean
BIN := .venv/bin

setup:
	@sh tools/setup.sh

demo: setup
	@$(BIN)/veilflow run configs/pipelines/anonymous_hospital_insurer.yaml --out runs/demo

lint: setup
	$(BIN)/python tools/lock_inputs.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p .typecheck && ln -sfn .. .typecheck/veilflow
	MYPYPATH=.typecheck $(BIN)/mypy -p veilflow
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/pytest

test-stock: setup
	@sh tools/test_stock.sh

lock:
	@UPGRADE=$(UPGRADE) sh tools/lock.sh

wheel: setup
	@sh tools/wheel.sh dist

sbom: setup
	@sh tools/audit.sh sbom

audit:
	@sh tools/audit.sh advisories

clean:
	rm -rf .venv .venv-stock .venv-audit .bootstrap .typecheck build dist *.egg-info
