# Data Sandbox. `make demo` shows the main job on real input; `make test` proves it.
.PHONY: help setup demo test check bench lock down clean venv
SANDBOX := .venv/bin/sandbox
BEGAN := $(shell date +%s)

help: ## Say what can be done
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

venv:
	@images/tools/venv

setup: venv ## Install, compile and build what is missing (Debian packages, Docker Engine, tools, images)
	@$(SANDBOX) setup

demo: venv ## Start the stack and run the demonstration on it; DATA=my.csv takes your own file
	@DATASANDBOX_BEGAN=$(BEGAN) $(SANDBOX) demo $(if $(DATA),--data "$(DATA)")

test: venv ## Run all tests on a stack of their own; ARGS go to pytest
	@$(SANDBOX) test $(ARGS)

check: venv ## Format, lint, types, imports, policies, translations
	@images/tools/check

bench: venv ## Print the figures of the performance goals; ARGS="B1 --json FILE" chooses
	@.venv/bin/python -m bench $(ARGS)

lock: venv ## Write the lock files anew; UPGRADE=1 takes newer versions
	@UPGRADE=$(UPGRADE) images/tools/lock

down: venv ## Stop the stack; its data stay
	@$(SANDBOX) down

clean: venv ## Remove the stack and its data; refused while something is mounted under var/
	@$(SANDBOX) clean
