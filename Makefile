# The single entry: people, pre-commit and CI all call these targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving
STAMP := $(VENV)/.installed
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: help install run test coverage hostile check format clean load load-throughput load-overload load-clients \
	load-bad-clients load-stops load-history load-replicas load-page load-soak image-check watch-kills \
	archive-speed archive-kills archive-memory archive-ray-data
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install the project with its development tools
$(STAMP): $(SERVING)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(SERVING): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,pretrained,server,report]'
	@touch $@

run: $(SERVING) ## install what serving, training and reports need; serve the shipped bundles on HOST:PORT
	$(BIN)/anomaly serve --models models/ --default-model mnist --host $(HOST) --port $(PORT)

PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
test: install ## run the test suite, files of tests in three processes
	$(PYTEST)

coverage: install ## the same with branch coverage, of which there must be 90 %, which takes longer
	$(PYTEST) --cov --cov-report=term

hostile: install ## 5,000 damaged images, bombs, and 5,000 requests made from the OpenAPI document
	ANOMALY_HOSTILE_IMAGES=5000 ANOMALY_API_EXAMPLES=500 $(BIN)/python -m pytest --timeout 1800 -s \
	    tests/service/test_hostile_images.py tests/service/test_api.py

load: load-throughput load-overload load-clients load-bad-clients load-stops load-history load-replicas load-page load-soak ## all load tests; half an hour
load-throughput: install ## images a second beside Detector.score, plain FastAPI and, with LITSERVE=PYTHON, LitServe
	$(BIN)/python -m benchmarks.throughput --side 28 $(if $(LITSERVE),--litserve $(LITSERVE))
	$(BIN)/python -m benchmarks.throughput --side 256 $(if $(LITSERVE),--litserve $(LITSERVE))
load-overload: install ## ten times as many requests as can be served, for a minute
	$(BIN)/python -m benchmarks.overload
load-clients: install ## 10,000 tagged images from 64 clients for all models
	$(BIN)/python -m benchmarks.clients
load-bad-clients: install ## 500 clients that vanish, 200 that never finish
	$(BIN)/python -m benchmarks.bad_clients
load-stops: install ## kill -9 twenty times, SIGTERM ten times, under load
	$(BIN)/python -m benchmarks.stops
load-history: install ## kill -9 twenty times while a history is kept; every acknowledged row must be there
	$(BIN)/python -m benchmarks.history_kills
load-replicas: install ## two servers over one PostgreSQL: 10,000 requests, kill -9 of one, the database stopped for 30 s
	$(BIN)/python -m benchmarks.replicas
load-page: install ## a thousand photographs dropped on the page at once; needs /usr/bin/chromium
	$(BIN)/python -m benchmarks.page_many
load-soak: install ## a quarter of an hour of everything
	$(BIN)/python -m benchmarks.soak

image-check: install ## build the container images, start them without a network, post images; as root
	$(BIN)/python -m benchmarks.image_check $(IMAGE)
watch-kills: install ## 10,000 files dropped at once, the watcher killed (-9) ten times; to a file, a webhook, MQTT
	$(BIN)/python -m benchmarks.watch_kills
archive-speed: install ## 20,000 images in 40 tar shards: two workers of a Ray cluster beside two plain processes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.archive_speed
archive-kills: install ## kill -9 of a worker, a Ray node, its head, the driver, five times each; the same bytes must be there
	$(BIN)/python -m benchmarks.archive_kills
archive-memory: install ## what memory the loop over shards takes, from a thousand to a million
	$(BIN)/python -m benchmarks.archive_memory
archive-ray-data: install ## what Ray Data and its checkpoints cost beside tasks of Ray
	$(BIN)/python -m benchmarks.archive_ray_data

check: install ## lint, format check, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the other targets made
	rm -rf $(VENV) .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
