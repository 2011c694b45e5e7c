# What people type. Each target is one script or one tool, so that a failing line can be run alone.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
CRATES := keystead-core keystead keystead-testkit keystead-server

.PHONY: help demo test lint fmt docs build release release-twice bench fuzz fuzz-short mutants prepare fmt-check clippy bench-check fuzz-check api-docs alone rules rules-selftest deny docs-check figures

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 18

demo: prepare ## build, and tell the field stories in this terminal with real requests
	@bash scripts/demo.sh

test: prepare ## every test: units, properties, scenarios, doc tests, end to end
	@bash scripts/test.sh

lint: fmt-check clippy bench-check fuzz-check api-docs alone rules rules-selftest deny docs-check ## every check that is not a test

fmt: ## format the code
	@$(CARGO) fmt --all
	@$(CARGO) fmt --manifest-path bench/Cargo.toml
	@$(CARGO) fmt --manifest-path e2e/differential/Cargo.toml
	@$(CARGO) fmt --manifest-path fuzz/Cargo.toml

docs: prepare ## write the generated pages under docs/ again
	@bash scripts/docs.sh

build: prepare ## the optimised program, in target/release/keystead
	@$(CARGO) build --locked --release --package keystead-server

release: prepare ## the program as it is released, its bill of materials and checksums, in target/dist
	@bash scripts/release.sh

release-twice: prepare ## the same, made twice, which must come out the same to the byte
	@bash scripts/release.sh --twice

# With ONLY=NAME what has this name, or is of this kind: library is the one that takes a minute.
bench: prepare ## the figures of docs/performance.md, measured on this machine in about ten minutes
	@bash scripts/bench.sh $(ONLY)

fuzz: prepare ## looks for bytes that break what must hold, ten minutes per target (FUZZ_SECONDS)
	@bash scripts/fuzz.sh

# From one seed, so that a change is not stopped by what another one brought in; make fuzz draws its own.
fuzz-short: prepare ## the same for one minute per target
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} FUZZ_SEED=$${FUZZ_SEED:-1} bash scripts/fuzz.sh

mutants: prepare ## does a test notice each change to the rooms that decide, in half an hour
	@bash scripts/mutants.sh

prepare:
	@bash scripts/prepare.sh

fmt-check: ## is the code formatted
	@$(CARGO) fmt --all --check
	@$(CARGO) fmt --manifest-path bench/Cargo.toml --check
	@$(CARGO) fmt --manifest-path e2e/differential/Cargo.toml --check
	@$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check

clippy: prepare ## lints, warnings count as errors
	@$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

# Workspaces of their own, so that clippy above does not see them. One folder, so that what they have
# in common is built once.
bench-check: prepare ## the same for the bench and the differential test
	@for workspace in bench e2e/differential; do \
	  $(CARGO) clippy --locked --manifest-path $$workspace/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target} \
	    --all-targets -- -D warnings; \
	done

# Without the fuzzer itself, which is C++ and is built with the targets.
fuzz-check: prepare ## the same for the fuzz targets
	@$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target} \
	  --all-targets -- -D warnings

# --lib: the program and the library have the same name, and their pages would overwrite each other.
api-docs: prepare ## does the API documentation build, private items and all
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --lib --no-deps --document-private-items

# A workspace build unites the features of all crates, so a missing feature shows only here.
alone: prepare ## each crate by itself, with its smallest feature set and with all of them
	@for crate in $(CRATES); do \
	  echo "$$crate alone"; \
	  $(CARGO) clippy --quiet --package $$crate --no-default-features -- -D warnings; \
	  $(CARGO) clippy --quiet --package $$crate --all-features -- -D warnings; \
	done

rules: prepare ## the five rules of direction
	@python3 ci/rules.py

rules-selftest: prepare ## does each rule of direction fail when it is broken
	@bash ci/rules_selftest.sh

deny: prepare ## licences, sources, bans and duplicates of the dependencies
	@bash ci/deny.sh

docs-check: prepare ## are the generated pages what would be generated now
	@bash scripts/docs.sh --check

figures: prepare ## dependencies of the core, longest functions, largest files
	@python3 ci/figures.py
