# A static program in an otherwise empty image. docs/guide/en/operations/docker.md tells how to run it.
FROM rust:1.95.0-alpine3.22 AS build

# hadolint ignore=DL3018
RUN apk add --no-cache gcc make musl-dev perl linux-headers tzdata

WORKDIR /src
COPY . .
RUN cargo build --release --locked --package polyport \
    && mkdir -p /image/data /image/tmp /image/usr/share \
    && cp target/release/polyport /image/polyport \
    && cp -r /usr/share/zoneinfo /image/usr/share/zoneinfo \
    && chmod 1777 /image/tmp \
    && chown 65532:65532 /image/data

FROM scratch

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="polyport" \
      org.opencontainers.image.description="Any LLM client to any LLM provider" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

COPY --from=build /image/ /

# Everything is written below /data; the rest may be read-only. The key of a client is asked for at the start.
ENV POLYPORT_HOST=0.0.0.0 \
    POLYPORT_DATA=/data
WORKDIR /data
VOLUME ["/data"]
EXPOSE 7659
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/polyport", "health"]
ENTRYPOINT ["/polyport"]
CMD ["serve"]
