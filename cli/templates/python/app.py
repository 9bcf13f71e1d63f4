"""What libarawn calls: reads the input from stdin, and writes the reply to stdout. Print messages of your own to stderr."""

import json
import sys

from wit_world import exports

from greet import greet


def respond(stdin):
    try:
        request = json.load(stdin)
        reply = {"status": "ok", "output": greet(request["config"], request["context"])}
        return json.dumps(reply, ensure_ascii=False, allow_nan=False)
    except Exception as error:
        return json.dumps({"status": "error", "error": str(error) or type(error).__name__})


class Run(exports.Run):
    def run(self):
        sys.stdout.buffer.write(respond(sys.stdin.buffer).encode())
        # Python is not shut down after a call, which is what would flush it.
        sys.stdout.buffer.flush()
