# dimmagen for docker, podman, buildah or kaniko; docs/container.md says how to build and to run it.
#
# The base is pinned by its tag. A digest pins it for good: --build-arg BASE=python:3.12-slim-bookworm@sha256:...
ARG BASE=python:3.12-slim-bookworm
ARG PREFIX=/opt/dimmagen

FROM ${BASE} AS build
ARG PREFIX
# cpu or cuda. It only checks what was installed: which build of torch comes is decided by the index.
ARG DEVICE=cpu
# Extras of pyproject.toml. The default has no package under the GPL; clips need `video`, see docs/licences.md.
ARG EXTRAS=s3,heif,cluster
# Package index for torch alone, such as the one with builds for CPUs; by default torch comes with the rest.
ARG TORCH_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dimmagen dimmagen
RUN python -m venv ${PREFIX}
RUN test -z "${TORCH_INDEX}" || ${PREFIX}/bin/pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)"
RUN ${PREFIX}/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"
RUN test "${DEVICE}" = cpu || ${PREFIX}/bin/python -c "import torch; assert torch.version.cuda, 'this torch is for CPUs'"
RUN ${PREFIX}/bin/dimmagen --version

FROM ${BASE}
ARG PREFIX
COPY --from=build ${PREFIX} ${PREFIX}
# KubeRay starts Ray in a login shell, which sets a PATH of its own.
RUN ln -s ${PREFIX}/bin/dimmagen ${PREFIX}/bin/ray /usr/local/bin/
# All that is written outside the mounted folders goes to /tmp, the one place that has to be writable: numba's
# machine code, Ray's sockets, what a library expects in a home.
ENV PATH=${PREFIX}/bin:${PATH} HOME=/tmp TMPDIR=/tmp NUMBA_CACHE_DIR=/tmp/numba PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["dimmagen"]
CMD ["--help"]
