import assert from "node:assert/strict";
import { test } from "node:test";
import { greet } from "./greet.js";

test("a person is greeted", () => {
  assert.equal(greet({}, { name: "Ada" }), "Hello, Ada!");
});

test("nobody is an error", () => {
  assert.throws(() => greet({}, { name: "" }), { message: "context.name is empty" });
});
