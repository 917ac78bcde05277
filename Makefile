# Two commands matter: `make demo` and `make test`. Both install what is missing (see scripts/setup).
.PHONY: demo test check bench format sqlx setup-demo setup-test

CARGO ?= cargo
export SQLX_OFFLINE ?= true

demo: setup-demo ## the main job, live, on this machine
	$(CARGO) build --locked
	./target/debug/baton demo $(ARGS)

test: setup-test ## every test; names at the end what this machine could not show
	@CARGO="$(CARGO)" scripts/test $(ARGS)

check: setup-test ## everything that CI checks
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	scripts/sqlx-check.sh
	scripts/snapshots-check
	@if command -v cargo-deny >/dev/null 2>&1; then $(CARGO) deny check; else echo "skipped: cargo-deny is not installed"; fi
	@if command -v cargo-machete >/dev/null 2>&1; then $(CARGO) machete; else echo "skipped: cargo-machete is not installed"; fi
	$(MAKE) test

bench: setup-test ## figures; takes some minutes
	$(CARGO) bench --workspace --locked $(ARGS)

format:
	$(CARGO) fmt --all

sqlx: ## writes .sqlx anew after a change of SQL
	scripts/sqlx-check.sh --write

setup-demo:
	@scripts/setup demo

setup-test:
	@scripts/setup test
