# One image for every service, the operator, NATS and the command line:
#
#     docker build --tag naisho:0.1.0 .
#
# What it holds is said in tests/cluster/recipe.py, which the build without Docker follows too; a test compares them.
#
# Debian's own Python: it is optimised by profile, and its fixes come with the base's. The tag moves with those fixes.
# Whoever must build the same base in a year gives its digest:
#     docker build --build-arg BASE=debian:bookworm-slim@sha256:... .
# Python packages need no such thing, they are fixed by the hashes in requirements/lock.txt.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3.11 python3.11-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /tree
# From the lock alone, so that these two layers stay while only our own code changes.
COPY requirements/lock.txt requirements/
COPY services/client/pyproject.toml services/client/
COPY pyproject.toml ./
COPY tests/cluster/__init__.py tests/cluster/bytecode.py tests/cluster/environment.py tests/cluster/lock.py \
     tests/cluster/recipe.py tests/cluster/
RUN python3.11 -m tests.cluster.lock build >/build.txt \
    && python3.11 -m venv /build \
    && /build/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement /build.txt
RUN /build/bin/python -m tests.cluster.environment dependencies /dependencies
COPY LICENSE README.md .gitignore build_protos.py hatch_protos.py ./
COPY protos/ protos/
COPY services/ services/
COPY operators/ operators/
RUN /build/bin/python -m tests.cluster.environment code /code

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="naisho" \
      org.opencontainers.image.description="The services and operators of naisho, a private messaging network that anyone can run" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3.11 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 naisho \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin naisho \
    && mkdir -p /etc/naisho /run/naisho /var/lib/naisho
COPY --from=build /dependencies/ /
COPY --from=build /code/ /
ENV PATH="/opt/naisho/bin:/usr/bin:/bin" \
    HOME="/tmp" \
    LANG="C.UTF-8" \
    PYTHONSAFEPATH="1" \
    PYTHONUNBUFFERED="1" \
    PYTHONDONTWRITEBYTECODE="1"
WORKDIR /
# By number: Kubernetes refuses a name where it must know that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# Kubernetes asks by probes of its own, three different questions.
HEALTHCHECK NONE
CMD ["naisho", "--help"]
