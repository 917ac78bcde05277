/** What a range that lies outside the file parses to: the answer is 416. */
export const UNSATISFIABLE = Symbol("unsatisfiable");

/**
 * Reads a Range header for a file of `size` bytes.
 *
 * Gives the interval to send as `{ start, end }`, where `end` is the first byte that is not sent.
 * Gives `null` for a header we do not serve (another unit, several ranges): the whole file is the answer.
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!match || match[0] === "bytes=-") return null;
  const [, first, last] = match;

  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? UNSATISFIABLE : { start: size - length, end: size };
  }

  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last) + 1, size);
  return start < end ? { start, end } : UNSATISFIABLE;
}

/** The Content-Range header of a 206: both of its positions are sent, so the last one is `end - 1`. */
export function contentRange({ start, end }, size) {
  return `bytes ${start}-${end - 1}/${size}`;
}
