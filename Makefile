# The two commands of this project: `make demo` runs the trained LeNet on real digits, `make test` passes the tests.
# `make check` is the quick set. Each installs what it needs.
JOBS ?= $(shell nproc)
# The wheel is built without -Werror, as users build it, and otherwise as the release preset, with the compiler by the same
# name: one compilation serves both.
export CCACHE_IGNOREOPTIONS := -Werror
export CXX
MGL := build/release/tools/mgl
CONVNETS := $(wildcard tests/golden/cases/models/*/model.mge tests/golden/cases/quantized_models/*/model.mge)

deps:
	@./scripts/install-deps.sh

build: deps
	@cmake --preset release > /dev/null
	@cmake --build --preset release -j $(JOBS)

demo: deps
	@cmake --preset release > /dev/null
	@cmake --build --preset release -j $(JOBS) --target digits mgl
	@build/release/examples/digits tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge tests/golden/mnist/images.npy tests/golden/mnist/labels.npy
	@echo; echo "The same model from the command line:"; echo
	@$(MGL) run tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge --input data:tests/golden/mnist/images.npy --iter 50

check: build wheel
	@ctest --preset release -L quick
	@$(PYTEST) ../python/tests -m "not slow"

# The wheel, installed into a virtual environment as users install it. Tests run in another folder than the source tree's.
PYTHON ?= python3
VENV := build/venv
PYTEST := cd build && venv/bin/python -m pytest -q -p no:cacheprovider
wheel:
	@./scripts/install-deps.sh python3-venv python3-dev
	@[ -x $(VENV)/bin/pip ] || $(PYTHON) -m venv $(VENV)
	@CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(VENV)/bin/pip install -q --disable-pip-version-check ".[test]"

test-python: wheel
	@$(PYTEST) ../python/tests
	@$(PYTEST) --doctest-modules --pyargs megalith

# The documentation site, in build/site; a broken link or a page that is not in the menu fails.
docs: wheel
	@$(VENV)/bin/pip install -q --disable-pip-version-check mkdocs-material==9.8.2
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "build/site/index.html"

# mge.js: the core's quick set as WebAssembly in Node, then the package in Node and headless Chromium. demo-js builds the
# demo site into js/examples/mnist/dist.
EMSCRIPTEN ?= build/emscripten
NODE_PATH_OF = PATH="$$(./scripts/install-node.sh build/node):$$PATH"
js-deps:
	@./scripts/install-deps.sh chromium
	@$(NODE_PATH_OF) ./scripts/install-emscripten.sh $(EMSCRIPTEN)
	@export $(NODE_PATH_OF); cd js && npm ci --no-audit --no-fund --loglevel error

js: js-deps
	@export $(NODE_PATH_OF); for preset in wasm wasm-threads; do \
	  cmake --preset $$preset -DMEGALITH_EMSCRIPTEN=$(abspath $(EMSCRIPTEN)) > /dev/null && \
	  cmake --build --preset $$preset -j $(JOBS) --target mge_js || exit 1; done
	@export $(NODE_PATH_OF); cd js && npm run --silent build

# The package alone: its levels in Node, bundlers, README, and the demo in Chromium: it trains, reads a drawn digit, saves
# and loads. The rest of test-js is the core's own quick set as WebAssembly, the levels in Chromium, MNIST from scratch,
# Deno and Bun.
check-js: js
	@export $(NODE_PATH_OF); cd js && npm run check

test-js: js
	@export $(NODE_PATH_OF); cmake --build --preset wasm -j $(JOBS) && \
	  cmake --build --preset wasm --target mge_js_lenet && ctest --preset wasm -L quick -j $(JOBS)
	@export $(NODE_PATH_OF); cd js && npm test && npm run test:trimmed && npm run test:runtimes

demo-js: js
	@export $(NODE_PATH_OF); cd js && node scripts/demo.mjs

# What CI runs: the full set, the Python package and the documentation, the quick set under ThreadSanitizer, with a second
# compiler's ASan and UBSan, where all fuzz targets run for a short time, and on another processor; and mge.js. It has to
# end in 45 minutes on 2 cores with an empty cache. test-more: the second compiler's release build, gcc's ASan and UBSan,
# and all tests of mge.js.
test: test-release test-python docs test-tsan
	@$(call where,./scripts/install-deps.sh $(CLANG),fuzz)
	@$(call where,./scripts/install-deps.sh $(AARCH64),test-aarch64)
	@$(call where,$(MAKE) --no-print-directory js-deps,check-js)

# Tests that a machine has no tools for are named, and left out.
where = if $(1); then $(MAKE) --no-print-directory $(2); else \
	  echo "make test: its tools can't be installed here, so NOT tested: $(2)"; fi

test-more: test-clang test-asan test-js

test-release: build
	@ctest --preset release

# The quick set of one preset. asan and tsan are gcc's AddressSanitizer with UBSan, and ThreadSanitizer; fuzz has clang's
# ASan and UBSan; aarch64 runs under qemu-user.
CLANG := clang-19 libclang-rt-19-dev
AARCH64 := g++-aarch64-linux-gnu qemu-user-static
test-clang test-fuzz: PACKAGES := $(CLANG)
test-aarch64: PACKAGES := $(AARCH64)
QUICK := test-asan test-tsan test-clang test-aarch64 test-fuzz
$(QUICK): test-%:
	@./scripts/install-deps.sh $(PACKAGES)
	@cmake --preset $* > /dev/null
	@cmake --build --preset $* -j $(JOBS)
	@ctest --preset $* -L quick -j $(JOBS)

# A fixed run of each target; 10 minutes for each: make fuzz FUZZ_SECONDS=600
FUZZ_SECONDS ?= 0
fuzz: test-fuzz
	@./scripts/fuzz.sh build/fuzz $(FUZZ_SECONDS)

# Speed beside the peers that BENCH_PYTHON has (PyTorch, onnxruntime, OpenVINO, ...): see bench/README.md. All cases: BENCH=
BENCH_PYTHON ?= $(shell command -v python3)
BENCH ?= --groups model,conv,matmul --cases "_n1|256x256|1024x1024" --rounds 3
bench: wheel bench-cpp
	@BENCH_PYTHON=$(BENCH_PYTHON) $(VENV)/bin/python bench/bench.py $(BENCH) > build/bench.jsonl

bench-cpp: deps
	@cmake --preset release -DMEGALITH_BENCH=ON > /dev/null
	@cmake --build --preset release -j $(JOBS)
	@echo "| what | measured | wanted |"; echo "| --- | --- | --- |"
	@build/release/bench/bench_plan_overhead
	@build/release/bench/bench_load $(MGL)
	@build/release/bench/bench_memory $(CONVNETS)

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean:
	@rm -rf build

.PHONY: deps build demo check test test-more test-release wheel test-python js-deps js check-js test-js demo-js docs $(QUICK) fuzz bench bench-cpp clean format
