# The one image of the labs: `make build && docker build -t grove .`
FROM scratch
COPY bin/groved bin/grove /usr/bin/
ENV PATH=/usr/bin
ENTRYPOINT ["groved"]
CMD ["-c", "/etc/grove/grove.yml"]
