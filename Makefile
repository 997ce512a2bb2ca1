# ClusterLb: everything a person or a CI job does with this checkout. `make help` lists it.
# Every target installs what it needs first (eng/setup.sh: Debian packages, the .NET SDK) and is fast when it is there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PROGRAM := artifacts/clusterlb
NEXT := artifacts/next/clusterlb
SOURCES := $(shell find src -name '*.cs' -not -path '*/obj/*' -o -name '*.csproj' -not -path '*/obj/*') \
           Directory.Build.props Directory.Packages.props global.json

# The .NET SDK that eng/setup.sh found or installed.
export PATH := $(HOME)/.dotnet:$(PATH)
export DOTNET_CLI_TELEMETRY_OPTOUT := 1
export DOTNET_NOLOGO := 1
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT := 1

.PHONY: help setup build demo test soak bench lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: ## install what is missing: Debian packages, the .NET SDK of global.json
	@eng/setup.sh

build: setup $(PROGRAM) ## artifacts/clusterlb: one self-contained program

$(PROGRAM): $(SOURCES)
	dotnet publish -nodeReuse:false src/ClusterLb.Cli -c Release -r linux-x64 --self-contained -o artifacts -v quiet -nologo
	@ls -lh $(PROGRAM)

demo: build ## the main job, in an embedded lab cluster (network namespaces; needs root, no Kubernetes)
	$(PROGRAM) lab demo

test: build ## all tests, with real packets in network namespaces; at most 15 minutes on two cores
	eng/test.sh

# A later version, to be upgraded to. Apart from everything else, or what is built next would have its version.
$(NEXT): $(SOURCES)
	dotnet publish -nodeReuse:false src/ClusterLb.Cli -c Release -r linux-x64 --self-contained --artifacts-path artifacts/next-build -p:VersionPrefix=9.9.9 -o artifacts/next -v quiet -nologo

soak: build $(NEXT) ## the long runs: 5,000 killed writers, 100 million mutated packets, 50,000 objects at an API server, 50,000 simulated histories
	CLUSTERLB_NEXT_PROGRAM=$(CURDIR)/$(NEXT) CLUSTERLB_SIMULATION_HISTORIES=50000 CLUSTERLB_NAT_TALKS=25000 CLUSTERLB_FLOOD_PACKETS=4000000 CLUSTERLB_FLOOD_CONNECTIONS=1000 CLUSTERLB_KILL_ROUNDS=5000 CLUSTERLB_FUZZ_PACKETS=100000000 CLUSTERLB_API_OBJECTS=50000 CLUSTERLB_RESTARTS=100 eng/test.sh

bench: build ## the benchmarks, into bench/results
	eng/bench.sh

lint: setup ## warnings are errors, analyzers, formatting
	dotnet build -nodeReuse:false ClusterLb.sln -c Release -v quiet -nologo
	dotnet format ClusterLb.sln --verify-no-changes --no-restore

format: setup ## let the formatter mend what `make lint` complains about
	dotnet format ClusterLb.sln

clean: ## remove what was built
	rm -rf artifacts TestResults
	find src tests bench -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} +
