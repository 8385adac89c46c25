# The scoring service with the bundles of models/. No container engine was at hand to build this file where it was
# written: its install line is that of `make run`, which CI runs on a plain machine, without the extra for reports. Where no
# bundle searches for latents, '.[onnx,server]' is enough, and the image is a third as large.
#
#   docker build -t anomaly .
#   docker run --rm -p 127.0.0.1:8000:8000 anomaly
#   docker run --rm -p 127.0.0.1:8000:8000 --gpus all anomaly      # torch from the package index brings CUDA on x86-64

FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/anomaly
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY anomaly anomaly
COPY service service
RUN /opt/anomaly/bin/python -m pip install --no-cache-dir --constraint constraints.txt '.[torch,pretrained,server]'

FROM python:3.11-slim
RUN useradd --system --create-home --uid 10001 anomaly
COPY --from=build /opt/anomaly /opt/anomaly
COPY models /srv/models
COPY docs/examples /srv/docs/examples
WORKDIR /srv
USER anomaly
ENV PATH=/opt/anomaly/bin:$PATH PYTHONUNBUFFERED=1 ANOMALY_LOG_FORMAT=json

# Inside a container the service must listen on all addresses to be reached at all; --insecure allows that. Who can reach it
# is decided by what is published: the lines above publish to this machine only. To publish further, mount a file of keys and
# give --keys FILE in the place of --insecure. It answers to loopback names and to numeric
# addresses; give further names in ANOMALY_ALLOWED_HOSTS (separated by commas).
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["anomaly", "serve", "--models", "models/", "--default-model", "mnist", "--host", "0.0.0.0", "--port", "8000", "--insecure"]
