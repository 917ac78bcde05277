# The server, the agent programs it was tested with, and what they need. Not more: a repository whose tests
# need a toolchain gets an image that begins with `FROM baton` and installs it, because agents and tests see
# the programs of this image.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# Dependencies and results are kept between builds by the cache mounts; the program is taken out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked --package baton && install -D target/release/baton /out/baton

FROM node:22-bookworm-slim AS claude
WORKDIR /agent
COPY package.json package-lock.json ./
# No install script runs: the native program comes in a package of its own for each platform.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && install -D node_modules/@anthropic-ai/claude-code-linux-*/claude /out/claude \
    && /out/claude --version

FROM node:22-bookworm-slim AS codex
WORKDIR /agent
COPY package.json package-lock.json ./
# Of the package for the platform what the program uses: a search and a sandbox, found beside it.
RUN npm ci --ignore-scripts --no-audit --no-fund \
    && mkdir -p /out/codex && cd node_modules/@openai/codex-linux-*/vendor/* \
    && cp --parents codex-package.json bin/codex codex-path/rg codex-resources/bwrap /out/codex \
    && /out/codex/bin/codex --version

# What agents run in where `[sandbox] kind = "container"`: docker build --target agent --tag baton-agent .
# Baton's own program is not in it: it is shown inside from the machine, and needs a C library as new as there. A
# repository that needs a toolchain gets an image that begins with `FROM baton-agent`.
FROM debian:bookworm-slim AS agent
RUN apt-get update \
    && apt-get install -y --no-install-recommends bash ca-certificates git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=claude /out/claude /usr/local/bin/claude
COPY --from=codex /out/codex /opt/codex

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates git \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 baton \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/baton baton \
    && install -d -o baton -g baton -m 0711 /var/lib/baton
COPY --from=build /out/baton /usr/local/bin/baton
COPY --from=claude /out/claude /usr/local/bin/claude
COPY --from=codex /out/codex /opt/codex
ENV BATON_CLAUDE=/usr/local/bin/claude BATON_CODEX=/opt/codex/bin/codex
ENV BATON_DATA=/var/lib/baton BATON_CONFIG=/etc/baton/baton.toml
USER baton
WORKDIR /var/lib/baton
VOLUME /var/lib/baton
EXPOSE 3020
# The operator's listener is inside only; bash asks it, so that no HTTP client has to be installed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3021 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q alive <&3"]
# `docker compose exec baton baton doctor` runs another command beside the server.
ENTRYPOINT ["baton"]
CMD ["serve"]
