# What every node of a cluster runs: this package with its pins, Ray's dashboard, segmentation and MLflow.
#
#   docker build --build-arg ACCELERATOR=cuda -t registry.example/raylab2f:0.1.0 .        # GPUs; CUDA as torch brings it
#   docker build --build-arg ACCELERATOR=cpu -t registry.example/raylab2f:0.1.0-cpu .     # a tenth of the size
#
# A GPU node needs NVIDIA's driver and container toolkit, nothing else. By hand, give Ray's object store room:
# `docker run --shm-size=4g`. The container may run as any user, also as one without a name.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim-bookworm

ARG ACCELERATOR=cuda

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# KubeRay asks a node with wget whether it is well; Ray looks at processes with ps. A user id without a name still has a home
# that it may write to. Debian keeps no older versions of its packages, so pinning them would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends procps wget \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --mode=1777 /home/raylab2f

WORKDIR /opt/raylab2f

# What is installed changes less often than the code, so it is a layer of its own. The system's Python takes it: Ray's
# containers start in login shells, which would forget a PATH that leads to another.
COPY pyproject.toml requirements.lock ./
RUN case "${ACCELERATOR}" in \
        cpu) export UV_TORCH_BACKEND=cpu ;; \
        cuda) ;; \
        *) echo "ACCELERATOR is cpu or cuda, not '${ACCELERATOR}'." >&2; exit 2 ;; \
    esac \
    && grep '^uv==' requirements.lock > /tmp/uv.txt \
    && pip install --no-cache-dir --requirement /tmp/uv.txt \
    && uv pip install --system --no-cache --compile-bytecode --constraint requirements.lock \
        --requirement pyproject.toml --extra cluster --extra segment --extra mlflow

COPY README.md LICENSE ./
COPY raylab2f raylab2f
RUN uv pip install --system --no-cache --compile-bytecode --no-deps .

# Programs that ask for the user's name find one, whatever the user id.
ENV HOME=/home/raylab2f \
    USER=raylab2f \
    LOGNAME=raylab2f \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1
USER 1000:0
WORKDIR /home/raylab2f

CMD ["raylab2f", "--help"]
