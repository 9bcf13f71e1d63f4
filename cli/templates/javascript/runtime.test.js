import assert from "node:assert/strict";
import { test } from "node:test";
import greet from "./runtime.js";

test("a person is greeted", () => {
  assert.equal(greet({ config: {}, context: { name: "Ada" } }), "Hello, Ada!");
});

test("nobody is an error", () => {
  assert.throws(() => greet({ config: {}, context: { name: "" } }), { message: "context.name is empty" });
});
