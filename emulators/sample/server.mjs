import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { findFile } from "./src/files.mjs";
import { contentRange, parseRange, UNSATISFIABLE } from "./src/range.mjs";

/** Sends a short plain answer. */
function say(response, status, text, headers = {}) {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...headers });
  response.end(`${text}\n`);
}

/** Sends a file, or the part of it that the Range header asks for. */
function sendFile(request, response, file) {
  const range = request.headers.range ? parseRange(request.headers.range, file.size) : null;
  if (range === UNSATISFIABLE) {
    return say(response, 416, "range not satisfiable", { "Content-Range": `bytes */${file.size}` });
  }
  const { start, end } = range ?? { start: 0, end: file.size };
  const headers = { "Accept-Ranges": "bytes", "Content-Type": file.type, "Content-Length": end - start };
  if (range) headers["Content-Range"] = contentRange(range, file.size);
  if (request.method === "HEAD" || end === 0) {
    response.writeHead(range ? 206 : 200, headers);
    return response.end();
  }
  const bytes = createReadStream(file.path, { start, end: end - 1 });
  bytes.on("error", () => response.destroy());
  response.writeHead(range ? 206 : 200, headers);
  bytes.pipe(response);
}

async function answer(root, request, response) {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return say(response, 405, "method not allowed", { Allow: "GET, HEAD" });
  }
  const { pathname } = new URL(request.url, "http://shelf");
  if (pathname === "/healthz") return say(response, 200, "ok");
  const file = await findFile(root, pathname);
  if (!file) return say(response, 404, "not found");
  sendFile(request, response, file);
}

/** Makes the server for one folder; the caller lets it listen. */
export function shelf(root) {
  return createServer((request, response) => {
    answer(root, request, response).catch((error) => {
      console.error(`${request.method} ${request.url}: ${error.message}`);
      if (response.headersSent) response.destroy();
      else say(response, 500, "internal error");
    });
  });
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "public");
  const port = Number(process.env.PORT ?? 8080);
  shelf(root).listen(port, "127.0.0.1", () => console.log(`shelf: http://127.0.0.1:${port}`));
}
