//! Lists, page by page: GitHub gives 30 entries unless asked for more, and links to the next page.

use http::HeaderMap;
use http::header::LINK;
use serde::de::DeserializeOwned;

use super::GitHubError;
use super::client::{Call, Caller, Client};

/// The most entries that GitHub puts on a page.
pub(super) const PAGE: &str = "per_page=100";
/// More pages than any list that Baton reads: 100,000 entries.
const LONGEST: u32 = 1000;

/// A list that is being read.
pub(super) struct Pages<'client> {
    client: &'client Client,
    caller: Caller,
    next: Option<String>,
    read: u32,
}

impl<'client> Pages<'client> {
    /// Begins at the first page; `path` carries its query, [`PAGE`] included.
    pub(super) fn new(client: &'client Client, caller: Caller, path: impl Into<String>) -> Self {
        Self { client, caller, next: Some(path.into()), read: 0 }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// Those of every reading call; `Unreadable` where the pages do not end.
    pub(super) async fn next<P: DeserializeOwned>(&mut self) -> Result<Option<P>, GitHubError> {
        let Some(path) = self.next.take() else { return Ok(None) };
        self.read += 1;
        if self.read > LONGEST {
            let message = format!("it has more than {LONGEST} pages");
            return Err(GitHubError::Unreadable { what: path, message });
        }
        let page = self.client.read(self.caller, &Call::get(path)).await?;
        self.next =
            next_page(&page.headers).and_then(|link| self.client.connection.below_base(link));
        Ok(Some(page.value))
    }

    /// All entries of a list whose pages are arrays.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub(super) async fn all<T: DeserializeOwned>(mut self) -> Result<Vec<T>, GitHubError> {
        let mut all = Vec::new();
        while let Some(page) = self.next::<Vec<T>>().await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// The path of the page that comes next.
    pub(super) fn upcoming(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// The address marked `rel="next"` in `Link`.
fn next_page(headers: &HeaderMap) -> Option<&str> {
    let links = headers.get(LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let link = "<https://x/a?page=1>; rel=\"prev\", <https://x/a?page=3>; rel=\"next\"";
        let headers = HeaderMap::from_iter([(LINK, link.parse().expect("a header value"))]);
        assert_eq!(next_page(&headers), Some("https://x/a?page=3"));
        assert_eq!(next_page(&HeaderMap::new()), None);
    }
}
