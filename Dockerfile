# Postern's production image. Nothing here needs BuildKit: docker, podman and buildah build it.
# The bases are arguments so that a mirror, a digest or a locally made base can take their place.
ARG BUILD_IMAGE=docker.io/library/node:24.21.0-trixie-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

# The program, put together from its sources and packages.
FROM ${BUILD_IMAGE} AS build
USER 0
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci"]
COPY tsconfig.json ./
COPY scripts/bundle.mjs ./scripts/
COPY cmd ./cmd
COPY src ./src
RUN ["node", "scripts/bundle.mjs"]

# What it needs at run time: no development package, and the prebuilt lmdb of this platform only.
FROM ${BUILD_IMAGE} AS dependencies
USER 0
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci", "--omit=dev"]
# Declarations and maps are for those who compile; of some packages they are two thirds.
RUN ["node", "-e", "const fs = require('node:fs'); for (const file of fs.readdirSync('node_modules', { recursive: true })) if (/\\.(?:d\\.[cm]?ts|map)$/.test(file)) fs.rmSync('node_modules/' + file)"]
RUN ["node", "-e", "require('node:fs').mkdirSync('/data')"]

FROM ${RUNTIME_IMAGE}
# scripts/image.sh gives them.
ARG RUNTIME_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=""
ARG DOCUMENTATION=""
LABEL org.opencontainers.image.title="Postern" \
      org.opencontainers.image.description="Identity-aware reverse proxy: sign in with Okta, live groups, per-route policy, signed identity" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Postern authors" \
      org.opencontainers.image.authors="The Postern authors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.url="${SOURCE}" \
      org.opencontainers.image.documentation="${DOCUMENTATION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
# Owned by root, the folder included: the program cannot change itself. Only the data directory is its own.
USER 0
WORKDIR /app
COPY --from=dependencies --chown=0:0 /app/node_modules ./node_modules
COPY --from=build --chown=0:0 /src/dist/cmd ./dist/cmd
COPY --chown=0:0 package.json LICENSE config.schema.json ./
COPY --from=dependencies --chown=65532:65532 /data /var/lib/postern
# Where HEALTHCHECK asks; the environment wins over config.yaml.
ENV NODE_ENV=production \
    HEALTH_CHECK_ADDR=0.0.0.0:9901
# A relative `storage.path`, as the default is, ends up in the data directory.
WORKDIR /var/lib/postern
USER 65532:65532
EXPOSE 8080 8443 9090 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/nodejs/bin/node", "/app/dist/cmd/postern/main.js", "health", "--addr", "127.0.0.1:9901"]
# Node is the first process: it handles its signals and starts no other program, so no init is needed. Two semi-spaces of
# 4 MiB instead of 16 keep what lives for a few milliseconds out of the old generation: 20 MiB less, at the same cost.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "/app/dist/cmd/postern/main.js"]
CMD ["run", "--config", "/etc/postern/config.yaml"]
