import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { shelf } from "../server.mjs";

const server = shelf(fileURLToPath(new URL("../public", import.meta.url)));
let base;

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

/** Asks for the ruler, with a Range header if one is given. */
function ruler(range) {
  return fetch(`${base}/ruler.txt`, { headers: range ? { range } : {} });
}

test("a file is served whole", async () => {
  const response = await ruler();
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("accept-ranges"), "bytes");
  assert.equal((await response.text()).length, 1000);
});

test("a closed range is served as partial content", async () => {
  const response = await ruler("bytes=100-149");
  assert.equal(response.status, 206);
  assert.equal(response.headers.get("content-range"), "bytes 100-149/1000");
  assert.equal((await response.text()).slice(0, 4), "0100");
});

test("what is not there is a 404, and nothing outside the folder is there", async () => {
  for (const path of ["/absent.txt", "/", "/..%2fpackage.json"]) {
    const response = await fetch(base + path);
    assert.equal(response.status, 404, path);
    await response.text();
  }
});

test("only reading is allowed", async () => {
  const response = await fetch(`${base}/ruler.txt`, { method: "POST" });
  assert.equal(response.status, 405);
  await response.text();
});
