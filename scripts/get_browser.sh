#!/bin/sh
# The browser that the console's tests drive: Debian's own Chromium, where it can be installed and is not there yet.
set -eu

if command -v chromium >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "no chromium, and no Debian to install it on as root: tests in a browser will fail" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
get() {
    apt-get install --yes --quiet --quiet --no-install-recommends chromium fonts-dejavu-core >/dev/null
}
get || { apt-get update --quiet --quiet && get; }
