# The kernel's dependencies with Noto CJK and matplotlib's list of fonts, which would cost each first plot seconds.
ARG BUILD
ARG DEPS
FROM ${BUILD} AS fonts
RUN apt-get update -q && apt-get install -yq --no-install-recommends fonts-noto-cjk

FROM ${DEPS} AS listed
COPY --from=fonts /usr/share/fonts /usr/share/fonts
COPY matplotlibrc /opt/fonts/matplotlibrc
COPY strip /tmp/strip
RUN mkdir -p /opt/fonts/cache /home/researcher && MPLCONFIGDIR=/opt/fonts/cache MATPLOTLIBRC=/opt/fonts/matplotlibrc python -c "import matplotlib.font_manager as f; f.findfont('Noto Sans CJK SC', fallback_to_default=False)" \
 && chmod -R a+rX /opt/fonts && chown 1300:1300 /home/researcher && /tmp/strip && rm /tmp/strip
