"""A labgrid farm of one place, ``bench``: a client that keeps it in a folder and prints as labgrid 26.

In the folder, ``held`` is the holder; ``host``, ``port``, ``protocol`` and ``avail`` are what the place has.
``thief`` takes it at once from whoever acquires it; with ``lost`` the answer to acquiring is lost, with
``deaf`` nobody can ask for a place that is held.
"""

from __future__ import annotations

from pathlib import Path

CLIENT = """#!/bin/sh
cd "{folder}"
[ "$2" = bench ] || {{ echo "labgrid-client: Error: place pattern $2 matches nothing" >&2; exit 1; }}
case $3 in
  acquire)
    [ ! -e held ] || {{ echo "place is already acquired" >&2; exit 1; }}
    echo "$LG_HOSTNAME/$LG_USERNAME" >held
    [ ! -e thief ] || cp thief held
    [ ! -e lost ] || {{ echo "connection lost" >&2; exit 1; }} ;;
  release-from) [ "$(cat held)" != "$4" ] || rm held ;;
  show)
    [ ! -e deaf ] || [ ! -e held ] || {{ printf "no answer \\377" >&2; exit 1; }}
    echo "Place 'bench':"
    echo "  acquired: $(cat held 2>/dev/null || echo None)"
    echo "Acquired resource 'NetworkSerialPort' (x/board/NetworkSerialPort/NetworkSerialPort):"
    echo "  {{'acquired': 'bench',"
    echo "   'avail': $(cat avail),"
    echo "   'cls': 'NetworkSerialPort',"
    echo "   'params': {{'extra': {{'proxy': 'localhost'}}, 'host': '$(cat host)', 'port': $(cat port), 'protocol': '$(cat protocol)'}}}}"
    ;;
esac
"""  # noqa: E501


def labgrid_farm(folder: Path) -> Path:
    """The farm's client."""
    client = folder / "client"
    client.write_text(CLIENT.format(folder=folder))
    client.chmod(0o755)
    for fact, value in (("avail", "True"), ("protocol", "raw"), ("host", "10.0.0.7"), ("port", "7710")):
        (folder / fact).write_text(value)
    return client
