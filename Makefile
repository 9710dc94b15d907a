# Every target is one command; what it does lies in xtask and in the crates. `make help` lists them.

# The operator's image.
IMG ?= localhost/profiling-operator:dev
# Its parts as the chart wants them: what follows the last colon is the tag, unless a slash follows it. A digest is cut at
# its colon, too, and the chart puts it together again.
IMG_LAST = $(lastword $(subst /, ,$(IMG)))
IMG_TAG = $(lastword $(wordlist 2,9,$(subst :, ,$(IMG_LAST))))
IMG_REPOSITORY = $(patsubst %:$(IMG_TAG),%,$(IMG))
# The test cluster's Kubernetes; empty means the newest supported.
K8S_VERSION ?=
# Passed on to the program or the suite: make demo ARGS='--for 60s', make e2e ARGS='--keep'.
ARGS ?=
KUBECTL ?= kubectl
HELM ?= helm
export K8S_VERSION

# Without what is generated from the code, which only `cargo xtask crd` needs, it compiles in seconds.
XTASK = cargo run --quiet --package xtask --no-default-features --

.DEFAULT_GOAL := build

##@ Develop

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {print "\n" substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Fetch and build everything that building and testing needs
	$(XTASK) deps

.PHONY: fmt
fmt: ## Format Rust and Go
	cargo fmt --all
	gofmt -w examples/sample-app e2e/hostile

.PHONY: vet
vet: ## Lints, licences, bans, generated files, architecture
	$(XTASK) vet

.PHONY: build
build: ## Build the operator and the kubectl plugin
	cargo build --release --package profiling-operator
# By itself: built together, the operator would get what the plugin's features link.
	cargo build --release --package profiling-cli

.PHONY: run
run: ## Run the operator against the cluster of your kubeconfig
	cargo run --package profiling-operator -- run $(ARGS)

.PHONY: demo
demo: ## See it work without a cluster: records the sample app into a local folder
	mkdir -p target/programs
	cd examples/sample-app && CGO_ENABLED=0 go build -trimpath -o ../../target/programs/sample-app .
	cargo run --quiet --package profiling-operator -- demo --log-level warn --sample-app target/programs/sample-app $(ARGS)

##@ Test

.PHONY: test
test: ## Every test, end to end included (root; without it says what was left out)
	$(XTASK) test

.PHONY: e2e
e2e: ## The end-to-end stories on a real Kubernetes (root)
	$(XTASK) e2e $(ARGS)

.PHONY: bench
bench: ## The figures, as tables; ARGS names parts (root, for those of a cluster)
	$(XTASK) bench $(ARGS)

.PHONY: soak
soak: ## What takes hours: tests in their long form, an hour of fuzzing, hundreds of kills (root)
	$(XTASK) soak $(ARGS)

.PHONY: cluster-up
cluster-up: ## Start a real one-node Kubernetes in a network namespace of its own (root)
	$(XTASK) cluster up

.PHONY: cluster-down
cluster-down: ## Stop it; nothing is left behind
	$(XTASK) cluster down

##@ Ship

.PHONY: docker-build
docker-build: ## Build the image IMG with docker, podman or buildah, whichever works here
	$(XTASK) image --tag $(IMG)

.PHONY: docker-push
docker-push: ## Push the image IMG
	$(XTASK) image --push --tag $(IMG)

.PHONY: install
install: ## Install the custom resource into the cluster of your kubeconfig
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: deploy
deploy: ## Install the custom resource, the roles and the operator with image IMG
	$(KUBECTL) kustomize config/default | sed 's|image: profiling-operator:latest|image: $(IMG)|' | $(KUBECTL) apply --server-side -f -

.PHONY: helm-install
helm-install: ## Install image IMG with Helm, or upgrade to it; ARGS='--set defaultConfig.s3.bucket=…'
	$(HELM) upgrade --install profiling-operator helm/profiling-operator --namespace profiling-system --create-namespace \
		--reset-then-reuse-values --set image.repository=$(IMG_REPOSITORY) --set-string image.tag=$(or $(IMG_TAG),latest) $(ARGS)
