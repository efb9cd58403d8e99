#!/bin/sh
# Puts the page, the relationship's source, into the document root of the server, its target.
set -eu

root=$(ctx target instance runtime-properties document_root)
ctx source instance runtime-properties html > "$root/index.html"
ctx logger info "published the page in $root"
