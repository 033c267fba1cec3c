# What the scripts share: the programs that tests start or link, found or installed. To be sourced.
# shellcheck shell=bash

# What cargo keeps to compile less the next time is three quarters of all that it writes, and has filled disks.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

# Where Debian keeps the servers' programs.
shopt -s nullglob
for directory in /usr/sbin /usr/lib/postgresql/*/bin; do PATH="$PATH:$directory"; done
export PATH

# What the tests start or link, and the package that brings it.
needs=(
    cc:build-essential
    curl:curl
    initdb:postgresql
    mariadb_config:libmariadb-dev
    mariadbd:mariadb-server
    pg_config:libpq-dev
    pip3:python3-pip
    redis-server:redis-server
    setpriv:util-linux
)

missing_packages() {
    local need
    for need in "${needs[@]}"; do
        command -v "${need%%:*}" >/dev/null || echo "${need##*:}"
    done
}

install_missing() {
    install_missing_packages && scripts/install-valkey
}

install_missing_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "not installed: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
        return 1
    fi
    install_without_services "${missing[@]}"
}

# Debian starts a server as soon as it is installed, unless a policy forbids it. The tests start their own.
install_without_services() (
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || return
    apt-get install -y -qq --no-install-recommends "$@"
)
