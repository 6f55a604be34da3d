# Everything is set up by the first target that needs it: a virtual environment from the lock file.
# On Windows: GNU make with the shell of Git for Windows, whose virtual environments have Scripts/ for bin/.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BINDIR := Scripts
else
PYTHON ?= python3
BINDIR := bin
endif
VENV   ?= .venv
BIN    := $(VENV)/$(BINDIR)
# What a user needs, clips included, and what the tests need on top of it.
READY  := $(VENV)/.installed
STAMP  := $(VENV)/.installed-dev

.PHONY: demo test test-faults test-attacks test-readers test-triton test-onnx test-wheel site image fuzz mutants lint format lock same-bytes profiles bench bench-compare clean

demo: $(READY)
	$(BIN)/python -m pipelines.demo

# Three processes for two processors: tests that wait, for Ray, a server or a disk, leave them to the others. Each
# process has one thread, and they share their compiled modules. With more processors: make test PROCESSES=8
PROCESSES ?= 3
test: export OMP_NUM_THREADS := 1
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder

# Runs of every command that are killed, 200 times at random and at each step of their writing; disks that fail; and
# each way in which a run loses its Ray.
test-faults: $(STAMP)
	DIMMAGEN_KILLS=200 $(BIN)/python -m pytest tests/generate/test_random_kills.py \
	    tests/generate/test_every_step.py tests/generate/test_kills.py tests/generate/test_faults.py \
	    tests/core/executors/test_ray_cluster.py

# Random signals over runs and resumes, system calls that fail, limits, disks that fill, other users and locales: 84 of
# each; `make test` does three, or one. Half an hour on an idle machine.
test-attacks: $(STAMP)
	DIMMAGEN_ATTACKS=84 $(BIN)/python -m pytest tests/attacks


# Code bases that read exports: those that a package carries train and validate, the others by their contract.
test-readers: $(STAMP)
	$(BIN)/python -m pytest tests/export

# The kernels for GPUs in Triton's interpreter, on the processor: two minutes, and 200 MB to install. Where Triton is
# installed, `make test` does one case of each kind.
test-triton: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[triton]'
	TRITON_INTERPRET=1 DIMMAGEN_TRITON=1 $(BIN)/python -m pytest tests/dimmers/camera/test_triton_kernel.py tests/enhance/test_triton_norm.py

# The ONNX export of the networks small and paper, of up to 166 MB, as onnxruntime runs them: two minutes each.
test-onnx: $(STAMP)
	DIMMAGEN_ONNX=1 $(BIN)/python -m pytest tests/enhance/test_onnx_model.py

# The package as users get it: a wheel in an environment of its own runs the README's commands. A few minutes.
test-wheel: $(READY)
	$(BIN)/python -m pipelines.wheel

# The container image, by docker or podman: make image IMAGE=registry/dimmagen:1 IMAGE_OPTIONS="--build-arg DEVICE=cuda"
IMAGE   ?= dimmagen:latest
BUILDER ?= $(firstword $(foreach one,docker podman buildah,$(if $(shell $(one) info >/dev/null 2>&1 && echo there),$(one))))
image:
	@test -n "$(BUILDER)" || { echo "No builder answers: docker or podman with its service running, or buildah, is needed" \
	    "(or BUILDER=another one). docs/container.md says what the image does."; exit 1; }
	$(BUILDER) build --tag $(IMAGE) $(IMAGE_OPTIONS) .

# A set of each kind with the code of two commits, byte for byte: make same-bytes BASE=main~1
same-bytes: $(READY)
	$(BIN)/python -m pipelines.same_bytes $(BASE)

# Damaged images, clips, shards, parquet files, recipes and tensors, 50,000 of them.
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzzing --count 50000

# Changes of generate, dataset and dimmers, made one by one, that a test should see: hours; run again, it resumes.
# Some of them: make mutants MUTANTS="dimmagen.generate.plan*"
mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet 'mutmut==3.8.1'
	$(BIN)/python -m tests.mutation $(MUTANTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documentation as a site, in build/site. A broken link ends it.
site: $(STAMP)
	$(BIN)/python -m pipelines.site

# Versions only, no index and no URL: usable wherever the package registry is.
lock: $(STAMP)
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --extra cluster --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --constraint pins.txt pyproject.toml -o constraints.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("dimmagen needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dimmagen and what it needs into $(VENV): a minute or two, by the speed of the registry."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[video]'
	touch $@

# basicsr-fixed comes alone: it asks for torchvision, whose wheel breaks diffusers next to a CPU-only torch.
$(STAMP): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'basicsr-fixed==1.4.2'
	touch $@

# The profiles that ship with the package, fitted anew to the pairs of the shared test data.
profiles: $(READY)
	$(BIN)/python -m pipelines.build_profiles

# All figures, on an otherwise idle machine: about an hour. QUICK=--quick only shows that everything runs.
bench: $(STAMP)
	$(BIN)/python -m benchmarks.run $(QUICK) --out benchmarks/figures.json --plot benchmarks/scaling.png

# Two commits pair by pair: make bench-compare BASE=main~5 [HEAD=main] [SUITES="--only job --rounds 3"]
bench-compare: $(STAMP)
	$(BIN)/python -m benchmarks.compare $(BASE) $(or $(HEAD),HEAD) $(SUITES)

clean:
	rm -rf $(VENV) build dist mutants *.egg-info
