#!/bin/sh
# Writes the page's text into its runtime properties. `greeting` is an input of the operation.
set -eu

node=$(ctx node id)
ctx logger info "writing the page of $node"
ctx instance runtime-properties html "<!doctype html><title>$node</title><h1>$greeting</h1>"
