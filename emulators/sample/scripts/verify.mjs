// Asks the deployed program at SERVICE_URL for what it promises, one line for each criterion; exits 1 if one fails.
const base = process.env.SERVICE_URL?.replace(/\/$/, "");
const size = 1000;

/** Criterion, the Range header to send, and what must come back: a slice of the file, or 416. */
const criteria = [
  ["an open range reaches the last byte", "bytes=500-", [500, 1000]],
  ["the last byte can be asked for alone", "bytes=999-", [999, 1000]],
  ["a closed range is as before", "bytes=100-149", [100, 150]],
  ["a suffix range is as before", "bytes=-100", [900, 1000]],
  ["a range behind the end is refused", "bytes=1000-", null],
  ["a reversed range is refused", "bytes=9-2", null],
];

/** Asks for the ruler; gives status, Content-Range and body, or the reason why there is no answer. */
async function ask(range) {
  try {
    const response = await fetch(`${base}/ruler.txt`, {
      headers: range ? { range } : {},
      signal: AbortSignal.timeout(5000),
    });
    return { status: response.status, named: response.headers.get("content-range"), body: await response.text() };
  } catch (error) {
    return { status: 0, named: null, body: "", reason: error.cause?.message ?? error.message };
  }
}

function wanted(slice, whole) {
  if (!slice) return { status: 416, named: `bytes */${size}`, body: null };
  const [start, end] = slice;
  return { status: 206, named: `bytes ${start}-${end - 1}/${size}`, body: whole.slice(start, end) };
}

function describe({ status, named, body, reason }) {
  if (reason) return `no answer (${reason})`;
  return [status, named, body === null ? null : `${body.length} bytes`].filter(Boolean).join(", ");
}

async function verify() {
  if (!base) throw new Error("SERVICE_URL must be set");
  const whole = await ask(null);
  if (whole.status !== 200 || whole.body.length !== size) {
    throw new Error(`the ruler itself: wanted 200 with ${size} bytes, got ${describe(whole)}`);
  }
  let failed = 0;
  for (const [criterion, range, slice] of criteria) {
    const want = wanted(slice, whole.body);
    const got = await ask(range);
    const passed =
      got.status === want.status && got.named === want.named && (want.body === null || got.body === want.body);
    if (!passed) failed += 1;
    const outcome = passed ? `got ${describe(got)}` : `wanted ${describe(want)}; got ${describe(got)}`;
    console.log(`${passed ? "PASS" : "FAIL"}  ${criterion}: asked ${range}, ${outcome}`);
  }
  console.log(failed ? `${failed} of ${criteria.length} criteria failed` : `all ${criteria.length} criteria hold`);
  if (failed) process.exitCode = 1;
}

verify().catch((error) => {
  console.log(`FAIL  ${error.message}`);
  process.exitCode = 1;
});
