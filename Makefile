# Every target is one command; what it does lies in xtask and in the crates.

IMG ?= localhost/profiling-operator:dev
K8S_VERSION ?=
ARGS ?=
export K8S_VERSION

# The cluster's commands need nothing that is generated from the code: without it they compile in seconds.
CLUSTER = cargo run --quiet --package xtask --no-default-features -- cluster

.PHONY: cluster-up
cluster-up: ## Start a real one-node Kubernetes in a network namespace of its own (root)
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop it; nothing is left behind
	$(CLUSTER) down
