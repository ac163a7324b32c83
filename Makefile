# The only front door: `make help` lists what there is. Everything is safe to repeat and to interrupt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
CLUSTER_TOOL := $(PY) -m tests.cluster
PROGRAMS := $(CLUSTER_TOOL) programs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: ## uv and the locked Python environment in .venv
	@python3 hack/bootstrap.py env

machine: env ## what the local cluster needs of the machine: root, Go, Debian packages
	@python3 hack/bootstrap.py machine

lock: env ## resolve requirements/*.in again into the hashed *.txt
	@python3 hack/bootstrap.py lock

programs: machine ## build Kubernetes, etcd, containerd, Helm and CoreDNS into the cache
	@$(PROGRAMS)

images: machine ## build the operator, worker and demo images, load them into a running cluster
	@$(CLUSTER_TOOL) images

cluster-up: programs ## start the local cluster, or find it running; NODES=2 gives it a second node
	@$(CLUSTER_TOOL) up $(if $(NODES),--nodes $(NODES))

cluster-down: env ## stop the local cluster; leaves no process, mount or namespace
	@$(CLUSTER_TOOL) down

cluster-status: env ## what of the local cluster runs
	@$(CLUSTER_TOOL) status

kubectl: env ## kubectl on the local cluster: make kubectl ARGS="get pods -A"
	@$(CLUSTER_TOOL) kubectl $(ARGS)

demo: machine ## a pool that follows the queue and comes back to zero, on a real cluster; BACKEND=sqlite: without Redis
	@$(PY) -m examples.demo

test: machine ## lint, types, import rules, unit, integration and e2e tests; without the stories that take long
	@$(PY) -m hack.test

lint: env ## ruff, strict types, import rules
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

format: env ## let ruff mend what it can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

test-unit: env ## the pure modules: make test-unit ARGS="-k scaling"
	@.venv/bin/pytest tests/unit $(ARGS)

simulate: env ## a pool in virtual time with many seeds, no busy pod deleted: make simulate SEEDS=100000; SEED=1234 again
	@$(PY) -m tests.unit.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),5000) --first $(or $(FIRST),0))

test-integration: machine ## against a real API server and a real Redis
	@$(PY) -m hack.test integration

test-e2e: machine ## the operator and workers on a local cluster of its own; KEEP=1 leaves it running
	@$(PY) -m hack.test e2e

test-chart: machine ## the chart: files, schema, rules, dashboards; install, upgrade, uninstall, move on the real cluster
	@$(PY) -m hack.test chart-files chart-whole

test-scaling: machine ## every story of scaling on the real cluster, half an hour; `make test` runs the quick ones
	@$(PY) -m hack.test outages scaling

test-backends: machine ## every backend and both lines of pynenc on the real cluster; `make test` runs one story of each
	@$(PY) -m hack.test backends-whole

FAULTS := $(CURDIR)/build/faults.jsonl
test-faults: machine ## every story of a fault on the real cluster, over an hour; writes the table of docs/reliability.md
	@mkdir -p build && rm -f $(FAULTS)
	@FAULTS=$(FAULTS) $(PY) -m hack.test faults faults-input two-nodes || failed=1; \
	$(PY) -m hack.fault_table $(FAULTS) && exit $${failed:-0}

soak: machine ## random load and random faults for half an hour, then nothing may be left: make soak MINUTES=60 SEED=7
	@MINUTES=$(MINUTES) SEED=$(SEED) $(PY) -m hack.test soak

bench: machine ## measure beside KEDA, under an hour: make bench NAME=reaction (or lifecycle, mixed, worker, idle, burst, fleet, growth); SHORT=1: few tries
	@$(PY) -m benchmarks $(NAME) $(if $(SHORT),--short)

benchmarks-page: env ## draw docs/benchmarks.md's tables and plots from benchmarks/results/*.json
	@$(PY) -m benchmarks.page

crd: env ## generate crds/, the chart's copy and what depends on them: the chart's schema, docs/crd.md
	@$(PY) -m hack.generate_crd
	@$(PY) -m hack.generate_chart
	@$(PY) -m hack.generate_crd_reference

chart-reference: env ## generate the chart's values.schema.json and README.md from its values.yaml
	@$(PY) -m hack.generate_chart

chart: machine ## package the chart, push it and its images: REGISTRY=host/path, or a registry in the local cluster, which it starts
ifdef REGISTRY
	@$(PROGRAMS) helm
	@$(PY) -m hack.publish $(REGISTRY)
else
	@$(CLUSTER_TOOL) up
	@$(CLUSTER_TOOL) images
	@$(CLUSTER_TOOL) exec -- $(abspath $(PY)) -m hack.publish
endif

sbom: machine ## write dist/*.cdx.json: every package of the operator's and the worker's image, as CycloneDX
	@$(PY) -m hack.sbom

preview: machine ## draw docs/dashboards/*.png from the results of the dashboards' queries in a run on the real cluster
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	PREVIEW=$$folder $(PY) -m hack.test dashboards && $(PY) -m hack.draw_dashboards $$folder

metrics-reference: env ## generate docs/metrics.md from the code
	@$(PY) -m hack.generate_metrics_reference

.PHONY: $(shell awk -F: '/^[a-z0-9-]+:.*## / {print $$1}' $(MAKEFILE_LIST))
