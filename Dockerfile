# docker build -t claviger .
# docker run --read-only -p 5000:5000 -v claviger:/data -e CLAVIGER_ISSUER=https://auth.example.org claviger
# See docs/docker.md. The dependencies are a layer of their own: while Cargo.toml and Cargo.lock stay as they are, a
# changed source compiles Claviger alone.

# What decides which dependencies are compiled and how, with empty sources. The layers below depend on the contents of
# /skeleton, which stay the same when a source changes.
FROM rust:1.95-slim-bookworm AS skeleton
COPY . /src
RUN /src/packaging/skeleton /src /skeleton

FROM rust:1.95-slim-bookworm AS dependencies
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY --from=skeleton /skeleton ./
RUN cargo build --release --locked --package claviger --bin claviger

FROM dependencies AS build
COPY . .
# Cargo goes by times, and the empty sources are younger.
RUN find src crates -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package claviger --bin claviger \
    && install -D -m 0755 target/release/claviger /out/usr/local/bin/claviger

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Claviger" \
    org.opencontainers.image.description="A self-hosted auth server: accounts, logins and verifiable tokens over plain JSON" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
    org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
# The certificates vouch for a PostgreSQL that is reached by TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin claviger \
    && install -d -m 0700 -o claviger -g claviger /data
COPY --from=build /out/ /
COPY LICENSE LICENSE-APACHE LICENSE-MIT LICENSE-DJANGO /usr/share/doc/claviger/
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
# SQLite's temporary files are the only others that are ever written.
ENV CLAVIGER_LISTEN=0.0.0.0:5000 CLAVIGER_DATA_DIR=/data SQLITE_TMPDIR=/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["claviger", "health"]
ENTRYPOINT ["claviger"]
CMD ["serve"]
