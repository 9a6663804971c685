# The images of fairlead: pipeline, serve, serve-sklearn, tools, mlflow. One file, one target each.
#
#   python -m tools.images wheels            download every wheel by the lock, write requirements and SBOMs to dist/images
#   python -m tools.images build serve       or: docker build --target serve -t fairlead/serve:0.1.0 .
#
# Nothing here needs a network: packages come from dist/images. That also means no `# syntax=` line, which would
# fetch a frontend; everything below is in BuildKit's built-in one, and in Buildah.
#
# A tag can move. For a release give each base with its digest (name:tag@sha256:…); `build --release` refuses others.
# A base must have Python 3.11 as `python3` and glibc 2.36 or newer, the C++ library included, as Debian 12 has.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9
ARG HELM_IMAGE=docker.io/alpine/helm:3.20.2
# For labels only. They come last in each image, so that another commit does not make all of it again.
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z

FROM ${UV_IMAGE} AS uv

FROM ${HELM_IMAGE} AS helm


# ---- what all images have in common --------------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS runtime
# The root file system may be read-only and the user any number without a name or a home: what wants to write gets
# folders under /tmp, and what asks for a user's name finds LOGNAME.
# The telemetry switches are those of components/fairlead/telemetry.py; a test compares.
ENV PATH=/opt/fairlead/bin:${PATH} \
    VIRTUAL_ENV=/opt/fairlead \
    LANG=C.UTF-8 \
    HOME=/tmp \
    LOGNAME=fairlead \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    BENTOML_HOME=/tmp/bentoml \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    BENTOML_DO_NOT_TRACK=True \
    ORT_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1
# The official Python images come without the standard library's byte code, and a pod with a read-only root compiles it
# anew at every start.
COPY tools/images/compile_stdlib.py /tmp/
RUN python3 /tmp/compile_stdlib.py && rm /tmp/compile_stdlib.py
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"


FROM runtime AS installer
COPY --from=uv /uv /usr/local/bin/uv
# unchecked-hash: byte code that neither depends on a file's date nor looks at its source again.
ENV UV_OFFLINE=1 \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN uv venv --quiet --python "$(command -v python3)" /opt/fairlead
COPY tools/images/install.sh /


# ---- the packages of each image ------------------------------------------------------------------------------
# The requirements name one wheel each by its hash, so that a changed wheel is a changed file: a mount's content is no
# part of a layer's cache key.

FROM installer AS pipeline-packages
COPY dist/images/pipeline.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh

FROM installer AS serve-packages
COPY dist/images/serve.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh

FROM installer AS serve-sklearn-packages
COPY dist/images/serve-sklearn.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh

FROM installer AS tools-packages
COPY dist/images/tools.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh

FROM installer AS mlflow-packages
COPY dist/images/mlflow.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh

# The project itself, in an environment with nothing else: copied over an image's packages, it is one environment with
# them, and a change of our code makes one small layer.
FROM installer AS project
COPY dist/images/project.txt /requirements.txt
RUN --mount=type=bind,source=dist/images/wheels,target=/wheels sh /install.sh


# ---- the images ----------------------------------------------------------------------------------------------

# The stages of a pipeline, started by kfp's executor.
FROM runtime AS pipeline
COPY --from=pipeline-packages /opt/fairlead /opt/fairlead
COPY --from=project /opt/fairlead /opt/fairlead
COPY dist/images/pipeline.cdx.json /usr/share/sbom/fairlead.cdx.json
USER 65532:65532
LABEL org.opencontainers.image.title="fairlead/pipeline" \
      org.opencontainers.image.description="Stages of a fairlead training pipeline"
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# A server for bundles with an ONNX model. The bundle is mounted at /bundle and brings its own code.
FROM runtime AS serve
COPY --from=serve-packages /opt/fairlead /opt/fairlead
COPY dist/images/serve.cdx.json /usr/share/sbom/fairlead.cdx.json
USER 65532:65532
EXPOSE 8080
CMD ["bentoml", "serve", "/bundle/bento", "--host", "127.0.0.1", "--port", "3000"]
LABEL org.opencontainers.image.title="fairlead/serve" \
      org.opencontainers.image.description="Server for fairlead bundles with an ONNX model"
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# The same with scikit-learn, for bundles whose model is a treelite or skops file.
FROM runtime AS serve-sklearn
COPY --from=serve-sklearn-packages /opt/fairlead /opt/fairlead
COPY dist/images/serve-sklearn.cdx.json /usr/share/sbom/fairlead.cdx.json
USER 65532:65532
EXPOSE 8080
CMD ["bentoml", "serve", "/bundle/bento", "--host", "127.0.0.1", "--port", "3000"]
LABEL org.opencontainers.image.title="fairlead/serve-sklearn" \
      org.opencontainers.image.description="Server for fairlead bundles with a treelite or scikit-learn model"
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# The command line with the clients of Kubernetes, Kubeflow Pipelines, MLflow and object stores, and Helm: release
# driver, orchestrator of the pods runner, and the init container that fetches a bundle.
FROM runtime AS tools
COPY --from=helm /usr/bin/helm /usr/local/bin/helm
COPY --from=tools-packages /opt/fairlead /opt/fairlead
COPY --from=project /opt/fairlead /opt/fairlead
COPY dist/images/tools.cdx.json /usr/share/sbom/fairlead.cdx.json
USER 65532:65532
CMD ["fairlead", "--help"]
LABEL org.opencontainers.image.title="fairlead/tools" \
      org.opencontainers.image.description="fairlead command line, release driver and orchestrator"
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# The MLflow tracking server, with clients of PostgreSQL and S3.
FROM runtime AS mlflow
COPY --from=mlflow-packages /opt/fairlead /opt/fairlead
COPY dist/images/mlflow.cdx.json /usr/share/sbom/fairlead.cdx.json
# Jobs are for MLflow's evaluation of language models: processes and memory that tracking does not need.
ENV MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 65532:65532
EXPOSE 5000
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", \
     "--backend-store-uri", "sqlite:////tmp/mlflow.db"]
LABEL org.opencontainers.image.title="fairlead/mlflow" \
      org.opencontainers.image.description="MLflow tracking server with PostgreSQL and S3 clients"
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
