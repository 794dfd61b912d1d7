#!/bin/sh
# No code of the core can open a client's address: no symbol of tapir::client, none of ClientAddress.
# The edge has both: the canary that shows that the search can find them.
#   no_client_code.sh CORE EDGE
set -eu
symbols() { nm -C "$1" | grep -cE 'tapir::client::|ClientAddress' || true; }
edge=$(symbols "$2")
core=$(symbols "$1")
echo "symbols of client code: tapir-edge $edge, tapir-core $core"
[ "$edge" -gt 0 ] || { echo "the search is blind: it finds none in tapir-edge"; exit 1; }
[ "$core" -eq 0 ] || { nm -C "$1" | grep -E 'tapir::client::|ClientAddress'; exit 1; }
