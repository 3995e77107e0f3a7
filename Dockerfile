# The server over HTTP for a team: no build tools in what runs, no root, every package's hash checked.
# docs/deploy.md says how it is started.

FROM python:3.13.9-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
COPY constraints.txt pyproject.toml ./
COPY scripts scripts
# Older versions of pip cannot check the hashes of constraints.
RUN python scripts/pinned_requirement.py pip > pip.txt \
    && python scripts/list_requirements.py postgres otel > wanted.txt \
    && python -m pip install --require-hashes -r pip.txt \
    && python -m venv --without-pip /opt/router \
    && python -m pip --python /opt/router/bin/python install --require-hashes -c constraints.txt -r wanted.txt \
    && python -m pip install --require-hashes -c constraints.txt --group build
COPY README.md LICENSE hatch_build.py ./
COPY mcp_router mcp_router
COPY providers providers
RUN python -m pip wheel --no-deps --no-index --no-build-isolation -w dist . \
    && python -m pip --python /opt/router/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13.9-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /data router
COPY --from=build /opt/router /opt/router
ENV PATH=/opt/router/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MCP_ROUTER_CONFIG=/etc/mcp-llm-router/config.toml \
    XDG_DATA_HOME=/data
USER router
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Calls under way have 20 s to end: give `docker stop` 35.
STOPSIGNAL SIGTERM
ENTRYPOINT ["mcp-llm-router"]
CMD ["serve", "--transport", "http", "--host", "0.0.0.0", "--port", "8000"]
