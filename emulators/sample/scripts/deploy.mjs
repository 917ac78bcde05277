// Uploads the program to its host: DEPLOY_URL says where, DEPLOY_TOKEN says that we may.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const parts = ["package.json", "server.mjs", "src", "public"];

/** The files of one part of the program, by their path from the root. */
function collect(part) {
  const entries = readdirSync(path.join(root, path.dirname(part)), { withFileTypes: true });
  const entry = entries.find(({ name }) => name === path.basename(part));
  if (!entry) throw new Error(`${part} is missing`);
  if (entry.isFile()) return [part];
  return readdirSync(path.join(root, part)).flatMap((name) => collect(`${part}/${name}`));
}

/** The commit that is deployed: told by the caller, or asked of git. */
function commit() {
  if (process.env.DEPLOY_SHA) return process.env.DEPLOY_SHA;
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

async function deploy() {
  const { DEPLOY_URL, DEPLOY_TOKEN } = process.env;
  if (!DEPLOY_URL || !DEPLOY_TOKEN) throw new Error("DEPLOY_URL and DEPLOY_TOKEN must be set");
  const files = Object.fromEntries(
    parts.flatMap(collect).map((name) => [name, readFileSync(path.join(root, name), "utf8")]),
  );
  const sha = commit();
  console.log(`uploading ${Object.keys(files).length} files of ${sha.slice(0, 7)}`);
  const response = await fetch(`${DEPLOY_URL.replace(/\/$/, "")}/releases`, {
    method: "POST",
    headers: { authorization: `Bearer ${DEPLOY_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ files, start: ["node", "server.mjs"], sha }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the host answered ${response.status}: ${text}`);
  console.log(`running at ${JSON.parse(text).url}`);
}

deploy().catch((error) => {
  console.error(`deploy failed: ${error.message}`);
  process.exitCode = 1;
});
