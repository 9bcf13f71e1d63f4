"""A shop and an order: an executor, `transform` on a document, a runtime that asks a function of the host, a script that
asks it too, an edit of the script that does not parse, a call that does not block, one that is cancelled, an error, and
the end of it all.

    make example-python

It prints:

    transform: {'to': 'Zoë Ångström', 'city': 'Malmö', 'total': 108.25, 'tracking': 9007199254740993}
    stock: {'order': '2026-004711', 'missing': [{'sku': 'CUP-0113', 'pieces': 1}]}
    levels: [7, 1, 3]
    edit: script_invalid, line 2, column 10
    later: {'order': '2026-004711', 'missing': []}
    never: cancelled
    runtime_error: expression: context.customer has no key "adress" (it has: address, email, name)
"""

import json
from pathlib import Path

import arawn

ROOT = Path(__file__).resolve().parents[2]
# A script, which asks for the pieces of each article.
LEVELS = """export default ({ context }) => {
  return context.items.map(({ sku }) => arawn.call("stock.level", { sku }));
}
"""

order = json.loads((ROOT / "examples/c/document.json").read_bytes())
pieces = {"TEA-0042": 7, "POT-0007": 1, "CUP-0113": 3}
asked = 0


def stock_level(request: dict[str, str]) -> int:
    """What the runtime asks; an unknown article raises, which the guest gets as an error."""
    global asked
    asked += 1
    return pieces[request["sku"]]


def draw_frames(job: arawn.Job) -> None:
    """Polls until the guest has asked some times, as a program does that has a frame to draw in between."""
    global asked
    asked = 0
    while asked < 3 and not job.done(timeout=0.005):
        pass


# An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call.
with arawn.Executor(
    runtimes_dir=ROOT / "target/example-python-runtimes",
    limits={"timeout_ms": 10000},
    capabilities={"host_functions": ["stock.level"]},
) as shop:
    # `transform` comes with the library. Here it picks from the order.
    mappings = {"to": "customer.name", "city": "customer.address.city", "total": "total", "tracking": "tracking_number"}
    print("transform:", shop.execute("transform", {"mappings": mappings}, order))

    # `stock` is put into the catalog. It asks the host, on a thread of the library's.
    shop.register("stock", ROOT / "runtimes/prebuilt/stock.wasm", replace=True)
    shop.host_function("stock.level")(stock_level)
    print("stock:", shop.execute("stock", context=order))

    # A script is registered as its text: there is nothing to build.
    shop.register("levels", script=LEVELS, language="javascript", replace=True)
    print("levels:", shop.execute("levels", context=order))

    # An edit that does not parse is refused with its place, and the version before it stays.
    try:
        shop.register("levels", script=LEVELS.replace("return", "retrun"), language="javascript", replace=True)
    except arawn.Error as error:
        print(f"edit: {error.code}, line {error.details['line']}, column {error.details['column']}")

    # Without blocking, until nothing is missing: from now on it asks within done and result, on this thread.
    shop.host_function("stock.level", on="poll")(stock_level)
    later = shop.submit("stock", {"wait": True}, order)
    draw_frames(later)
    pieces["CUP-0113"] = 4  # A delivery.
    print("later:", later.result())

    # Nobody brings more tea: this one would wait until its deadline, and is cancelled.
    pieces["TEA-0042"] = 0
    never = shop.submit("stock", {"wait": True}, order)
    draw_frames(never)
    never.cancel()
    try:
        never.result()
    except arawn.Error as error:
        print("never:", error.code)

    # What is wrong is an exception: a text for people, a code for programs.
    try:
        shop.execute("transform", {"expression": "customer.adress"}, order)
    except arawn.Error as error:
        print(error)
