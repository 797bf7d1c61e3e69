# R and packages for it from Debian, without recommends, beside the kernel's dependencies: what their installation wrote is copied, and
# nothing that installed it (the programs kept are those of `strip`, R and what asks fontconfig).
ARG BUILD
ARG DEPS
FROM ${BUILD} AS installed
COPY r.txt fonts.conf /tmp/
RUN set -eu; export DEBIAN_FRONTEND=noninteractive; touch /tmp/before; \
    apt-get update -q; apt-get install -yq --no-install-recommends $(cat /tmp/r.txt); \
    mkdir -p /etc/fonts /out; cp /tmp/fonts.conf /etc/fonts/local.conf; \
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +; \
    find / -xdev \( -path /tmp -o -path /out -o -path /proc -o -path /sys -o -path /run -o -path /root -o -path /var/cache -o -path /var/log -o -path /var/lib/apt \
        -o -path /usr/share/doc -o -path /usr/share/man -o -path /usr/share/info -o -path /usr/share/locale -o -path '/etc/cron*' -o -path /etc/init.d \) -prune \
        -o \( -type f -o -type l \) -cnewer /tmp/before -print0 | tar -C / --null -T - -cf - 2>/dev/null | tar -C /out -xf -; \
    cd /out/usr/bin; for file in *; do case $file in R|Rscript|fc-match|fc-list) ;; *) rm -rf "$file" ;; esac; done; rm -rf /out/usr/sbin

FROM ${DEPS}
COPY --from=installed /out /
COPY strip /tmp/strip
# fontconfig's list of fonts is made here: the first plot would make it, in the workspace
RUN mkdir -p /var/cache/fontconfig && fc-match sans:lang=zh-cn && /tmp/strip R Rscript fc-match fc-list && rm /tmp/strip
