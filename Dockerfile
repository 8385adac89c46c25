# The scoring service with the bundles of models/. docs/deploy.md says how to run it; `make image-check` builds and tries it.
#
#   docker build -t anomaly .
#   docker build -t anomaly --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .      # torch without CUDA
#   docker build -t anomaly --build-arg EXTRAS=server,onnx .                                    # no torch: ONNX Runtime

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG EXTRAS=torch,pretrained,server
ARG TORCH_INDEX=
WORKDIR /build
RUN python3 -m venv /opt/anomaly
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY anomaly anomaly
COPY service service
RUN if [ -n "$TORCH_INDEX" ]; then \
        /opt/anomaly/bin/python -m pip install --no-cache-dir --constraint constraints.txt --no-deps --index-url "$TORCH_INDEX" torch; \
    fi
RUN /opt/anomaly/bin/python -m pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
LABEL org.opencontainers.image.title="anomaly" \
      org.opencontainers.image.description="Says of an image how abnormal it is, where, and with what confidence." \
      org.opencontainers.image.version="0.5.0" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 anomaly \
    && useradd --uid 10001 --gid anomaly --create-home anomaly \
    && install --directory --owner=anomaly --group=anomaly /srv/keys /srv/models /srv/history
COPY --from=build /opt/anomaly /opt/anomaly
COPY --chown=anomaly:anomaly models /srv/models
COPY docs/examples /srv/docs/examples
WORKDIR /srv
USER 10001:10001

# Inside a container the service must listen on all addresses to be reached at all; ANOMALY_INSECURE allows that without
# keys. Who can reach it is decided by what is published. With ANOMALY_KEYS, a file of keys, keys are asked for.
ENV PATH=/opt/anomaly/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ANOMALY_HOST=0.0.0.0 \
    ANOMALY_INSECURE=true \
    ANOMALY_MODELS=/srv/models \
    ANOMALY_LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["anomaly", "serve", "--default-model", "mnist"]
