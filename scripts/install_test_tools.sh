#!/usr/bin/env bash
# Installs what `make test` needs and pip cannot bring: software GPU drivers (Mesa's lavapipe for
# WGSL, llvmpipe for GLSL), Chromium, Firefox, Node. Only what is missing is installed. Where that is not
# possible (not Debian or Ubuntu, not root and no sudo without a password) it says what is missing
# and succeeds: the tests then name each target that cannot run.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()

need() { # need PACKAGE COMMAND...: PACKAGE is missing unless COMMAND succeeds
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

has_library() { # by soname, in the loader's cache
    # Not `ldconfig -p | grep -q`: under pipefail, grep closing the pipe early is a failure.
    [[ $(/sbin/ldconfig -p 2>/dev/null) == *"$1 "* ]]
}

has_vulkan_driver() {
    compgen -G '/usr/share/vulkan/icd.d/*.json' || compgen -G '/etc/vulkan/icd.d/*.json'
}

has_gl_driver() {
    compgen -G '/usr/lib/*/dri/*_dri.so' || has_library libEGL_nvidia.so.0
}

has_chromium() {
    command -v chromium || command -v google-chrome || compgen -G "$HOME/.cache/ms-playwright/chromium*"
}

has_firefox() {
    command -v firefox-esr || command -v firefox
}

has_node() { # 18 is the first with the built-in fetch and test runner
    [[ $(node --version) =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= 18))
}

need libvulkan1 has_library libvulkan.so.1
need mesa-vulkan-drivers has_vulkan_driver
need libegl1 has_library libEGL.so.1
need libgl1 has_library libGL.so.1
need libgles2 has_library libGLESv2.so.2
need libgl1-mesa-dri has_gl_driver
need chromium has_chromium
need firefox-esr has_firefox
need xvfb command -v Xvfb # without a display Firefox has no WebGL
need libatomic1 has_library libatomic.so.1 # for the Node inside of playwright
need nodejs has_node
[[ ! -f tests/web/package.json ]] || need npm command -v npm

if ((${#missing[@]} == 0)); then
    echo "install_test_tools: everything is there"
    exit 0
fi

as_root=()
if [[ $EUID -ne 0 ]]; then
    as_root=(sudo --non-interactive)
fi
if ! command -v apt-get >/dev/null; then
    echo "install_test_tools: skipped, this is not Debian; please install: ${missing[*]}" >&2
    exit 0
fi
if [[ $EUID -ne 0 ]] && ! sudo --non-interactive true 2>/dev/null; then
    echo "install_test_tools: skipped, needs root; please run: apt-get install ${missing[*]}" >&2
    exit 0
fi

echo "install_test_tools: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
