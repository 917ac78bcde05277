import { stat } from "node:fs/promises";
import path from "node:path";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** The media type for a file name; bytes when the ending is unknown. */
export function mediaType(name) {
  return TYPES[path.extname(name).toLowerCase()] ?? "application/octet-stream";
}

/** Finds the file that a URL path names below `root`, or gives `null`: absent, a folder, or outside. */
export async function findFile(root, urlPath) {
  const wanted = path.join(root, decodeURIComponent(urlPath));
  if (!wanted.startsWith(path.resolve(root) + path.sep)) return null;
  try {
    const found = await stat(wanted);
    return found.isFile() ? { path: wanted, size: found.size, type: mediaType(wanted) } : null;
  } catch {
    return null;
  }
}
