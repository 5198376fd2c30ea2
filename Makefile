# The two commands of this project: `make demo` runs the trained LeNet on real digits, `make test` passes the tests.
# `make check` is the quick set. Each installs what it needs.
JOBS ?= $(shell nproc)
MGL := build/release/tools/mgl
FIXTURES := $(wildcard ../shared/fixtures/manifest.json)

.PHONY: deps build demo check test test-asan test-tsan test-aarch64 fuzz bench clean format

deps:
	@./scripts/install-deps.sh

build: deps
	@cmake --preset release > /dev/null
	@cmake --build --preset release -j $(JOBS)

demo: build
	@build/release/examples/digits tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge tests/golden/mnist/images.npy tests/golden/mnist/labels.npy
	@echo; echo "The same model from the command line:"; echo
	@$(MGL) run tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge --input data:tests/golden/mnist/images.npy --iter 50

check: build
	@ctest --preset release -L quick

test: build
	@ctest --preset release

# The quick set under AddressSanitizer and UBSan, and under ThreadSanitizer.
test-asan test-tsan: test-%: deps
	@cmake --preset $* > /dev/null
	@cmake --build --preset $* -j $(JOBS)
	@ctest --preset $* -L quick

# Cross-built for aarch64 Linux; the quick op set runs under qemu-user.
test-aarch64:
	@./scripts/install-deps.sh g++-aarch64-linux-gnu qemu-user-static
	@cmake --preset aarch64 > /dev/null
	@cmake --build --preset aarch64 -j $(JOBS)
	@qemu-aarch64-static build/aarch64/tools/mgl check tests/golden/cases --filter local_ops/ --threads 1

# 10 minutes for each reader: make fuzz FUZZ_SECONDS=600
FUZZ_SECONDS ?= 30
fuzz:
	@./scripts/install-deps.sh clang-19 lld-19 libclang-rt-19-dev
	@cmake --preset fuzz > /dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@./scripts/fuzz.sh build/fuzz $(FUZZ_SECONDS)

bench: deps
	@cmake --preset release -DMEGALITH_BENCH=ON > /dev/null
	@cmake --build --preset release -j $(JOBS)
	@build/release/bench/plan_overhead

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
