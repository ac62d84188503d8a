#!/usr/bin/env bash
# Runs pytest (arguments are passed on) in an environment of its own: Vulkan and EGL loaders want a
# private XDG_RUNTIME_DIR, which containers and CI machines do not have.
set -euo pipefail
cd "$(dirname "$0")/.."

XDG_RUNTIME_DIR=$(mktemp -d) # mktemp makes it 0700
export XDG_RUNTIME_DIR
export MALLOC_PERTURB_=165 # new memory holds junk where the C library knows how (glibc)
trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT

.venv/bin/pytest "$@"
