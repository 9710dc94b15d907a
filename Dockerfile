# The operator's image: one static program and the root certificates, nothing else.
#
# Both are put in place by `make docker-build IMG=…` (or `cargo xtask image`), which builds the program first: a build
# inside an image would need the whole toolchain in one and would share no cache with yours.

FROM scratch
COPY target/image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY target/image/profiling-operator /profiling-operator
# The allocator does without pages of 2 MiB from its first byte on: where a machine gives them unasked, two are taken
# before the program can say so.
ENV MIMALLOC_ALLOW_THP=0
USER 65532:65532
# Metrics, health.
EXPOSE 8080 8081
ENTRYPOINT ["/profiling-operator"]
CMD ["run"]
