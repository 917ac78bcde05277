//! The issue that the demo labels.

/// The issue's title.
pub const ISSUE_TITLE: &str = "Open ranges lose the last byte";

/// The issue's text, in GitHub's Markdown.
pub const ISSUE_BODY: &str = "\
Resuming a download leaves the file one byte short, so its checksum never matches.

### What I did

```
$ node server.mjs &
$ curl -si -H 'Range: bytes=500-' http://127.0.0.1:8080/ruler.txt | grep -i content-
Content-Type: text/plain; charset=utf-8
Content-Length: 499
Content-Range: bytes 500-998/1000
```

The file has 1000 bytes, so this should be 500 of them, `500-999/1000`. Asking for the last byte alone is worse: `bytes=999-`
is answered with 416.

### What should hold

- `bytes=500-` on a file of 1000 bytes gives 206, 500 bytes and `Content-Range: bytes 500-999/1000`
- `bytes=999-` gives the last byte
- closed ranges (`bytes=100-149`) and suffix ranges (`bytes=-100`) stay as they are
- a range that cannot be satisfied is still refused with 416: behind the end (`bytes=1000-`) and reversed (`bytes=9-2`)
- there are tests for it; the ones we have never ask for an open range

RFC 9110, section 14.1.2: a missing last position means the end of the representation.
";

/// Gives the issue's title and body.
pub fn issue() -> (&'static str, &'static str) {
    (ISSUE_TITLE, ISSUE_BODY)
}
