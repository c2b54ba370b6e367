"""Runs the consumer through vectors: one of them in JSON on each line of standard input, what came of it on
each line of standard output. A step with a `payload` instead of an answer is taken as signed by `kid`."""

import json
import sys

from consumer import Refused, State, keys_of, must, read, verified


def run(vector):
    keys, state, said = keys_of(vector["keys"]), State(), []

    def key_of(kid):
        must(kid in keys, "unknown_key")
        return keys[kid]

    for step in vector["steps"]:
        try:
            if "payload" in step:
                payload, kid = step["payload"].encode(), step["kid"]
            else:
                payload, kid = verified(step["answer"], key_of)
            state = state.accept(read(payload, vector["issuer"], step["now"]), kid, step["now"])
            verdict = "accepted"
        except Refused as reason:
            verdict = f"refused:{reason}"
        revoked = [state.revoked(check["kid"], check["claims"], check["now"]) for check in step["checks"]]
        said.append({"verdict": verdict, "revoked": revoked})
    return said


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
