# docker build -t claviger . && docker run -p 5000:5000 -v claviger:/data \
#     -e CLAVIGER_ISSUER=https://auth.example.org claviger
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 claviger && install -d -m 0700 -o claviger /data
COPY --from=build /src/target/release/claviger /usr/local/bin/claviger
USER claviger
VOLUME /data
EXPOSE 5000
ENV CLAVIGER_LISTEN=0.0.0.0:5000 CLAVIGER_DATA_DIR=/data
STOPSIGNAL SIGTERM
ENTRYPOINT ["claviger"]
CMD ["serve"]
