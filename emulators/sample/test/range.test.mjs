import assert from "node:assert/strict";
import { test } from "node:test";

import { contentRange, parseRange, UNSATISFIABLE } from "../src/range.mjs";

test("a closed range names its first and last byte", () => {
  assert.deepEqual(parseRange("bytes=0-99", 1000), { start: 0, end: 100 });
});

test("a closed range is cut off at the end of the file", () => {
  assert.deepEqual(parseRange("bytes=900-5000", 1000), { start: 900, end: 1000 });
});

test("a suffix range counts from the end", () => {
  assert.deepEqual(parseRange("bytes=-100", 1000), { start: 900, end: 1000 });
  assert.deepEqual(parseRange("bytes=-5000", 1000), { start: 0, end: 1000 });
});

test("an empty suffix cannot be satisfied", () => {
  assert.equal(parseRange("bytes=-0", 1000), UNSATISFIABLE);
});

test("other units and several ranges are left alone", () => {
  assert.equal(parseRange("lines=1-2", 1000), null);
  assert.equal(parseRange("bytes=0-1,5-9", 1000), null);
  assert.equal(parseRange("bytes=-", 1000), null);
});

test("the Content-Range header names the last byte that is sent", () => {
  assert.equal(contentRange({ start: 0, end: 100 }, 1000), "bytes 0-99/1000");
});
