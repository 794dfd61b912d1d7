"""What the existing parts published, against ours: an event of theirs in, an observation of ours beside theirs."""

import json
import pathlib

import broker
from evidence import search
from processes import LabError, wait_for

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "libs/jose/golden/observations"
EDGE = "edm.edge.tapir.example"
# Signed by the existing edge's kind of key; without a timestamp, so never too old. Its name:
EVENT, EVENT_NAME = "up/018-minimal.mqtt", "up.example.com"


def enrol(keys_folder):
    """The public half of the existing edge's key, under its key id, as an operator would install it."""
    key = json.loads((GOLDEN / f"keys/{EDGE}.json").read_bytes())
    key.pop("d", None)
    (keys_folder / f"{EDGE}.jwk").write_text(json.dumps({**key, "kid": EDGE}))


def check_event_is_taken(lab):
    before = lab.core_events()
    lab.broker.publish(EDGE, f"{broker.UP}/{EDGE}/new_qname", (GOLDEN / EVENT).read_bytes())
    wait_for("the core takes the existing edge's event", lambda: lab.core_events() == before + 1, 20,
             still_runs=lab.processes.check)
    _, found = search([lab.folder / "core"], EVENT_NAME)
    if not found:
        raise LabError(f"the core counted the event, but {EVENT_NAME} is nowhere on its disk")


def shape(value):
    """Members in their order and types, without what they hold."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def check_observation_has_their_form(ours):
    """Same members in the same order at each level, same serialisation, no octet more."""
    theirs = (GOLDEN / "down/001-globally-new.mqtt1.json").read_bytes()
    for what, octets in (("ours", ours), ("theirs", theirs)):
        message = json.loads(octets)
        if json.dumps(message, separators=(",", ":")).encode() != octets.rstrip(b"\n"):
            raise LabError(f"{what} is not JSON without spaces: {octets!r}")
    mine, golden = json.loads(ours), json.loads(theirs)
    pairs = [("message", shape(mine), shape(golden))]
    for part in ("protected", "payload"):
        pairs.append((part, shape(broker.decoded(mine[part])), shape(broker.decoded(golden[part]))))
    for what, got, want in pairs:
        if got != want:
            raise LabError(f"the {what} of our observation is not as the existing core's: {got}, not {want}")
