# make demo: the main job on a generated storm. make test: everything. Both install what they need.
VENV := .venv
BIN := $(VENV)/bin
SYSTEM_TEST := ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
SYSTEM_RUN := libgl1 libglib2.0-0

.PHONY: setup setup-dev demo test check format clean

# The stamp files make a second run cost nothing.
$(VENV)/.run: pyproject.toml
	tools/system_packages.sh $(SYSTEM_RUN)
	python3 -c "import ensurepip, venv" || tools/system_packages.sh python3-venv
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	tools/system_packages.sh $(SYSTEM_TEST)
	$(BIN)/python -m pip install --quiet --editable '.[minicpm]' --group dev
	touch $@

setup: $(VENV)/.run
	@echo "Ready: $(BIN)/lightning-detector --help"

setup-dev: $(VENV)/.dev

demo: $(VENV)/.run
	$(BIN)/python tools/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache
