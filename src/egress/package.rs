//! Name and version of a package, out of the path at which a registry has it.

/// The package that a path names: an npm tarball, a crate, a wheel or source archive, a Go module. None
/// for an index and for everything unknown.
pub(super) fn named(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let found =
        crates(&parts).or_else(|| npm(&parts)).or_else(|| go(path)).or_else(|| python(&parts));
    let plain = |text: &String| {
        text.len() <= 200
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" .+-_@/!~".contains(&b))
    };
    found.filter(plain)
}

/// `…/crates/NAME/VERSION/download`, as crates.io's API has it, and `…/NAME-VERSION.crate`.
fn crates(parts: &[&str]) -> Option<String> {
    if let [.., "crates", name, version, "download"] = parts {
        return Some(format!("{name} {version}"));
    }
    let (name, version) = versioned(parts.last()?.strip_suffix(".crate")?)?;
    Some(format!("{name} {version}"))
}

/// `…/NAME/-/NAME-VERSION.tgz` with an optional `@SCOPE/` before; the slash may be escaped.
fn npm(parts: &[&str]) -> Option<String> {
    let [before @ .., "-", file] = parts else { return None };
    let name = before.last()?.replace("%2f", "/").replace("%2F", "/").replace("%40", "@");
    let bare = name.rsplit('/').next()?.to_owned();
    let version = file.strip_suffix(".tgz")?.strip_prefix(bare.as_str())?.strip_prefix('-')?;
    let scope = before.len().checked_sub(2).and_then(|at| before.get(at));
    let scope = scope.filter(|scope| scope.starts_with('@'));
    Some(
        scope.map_or_else(
            || format!("{name} {version}"),
            |scope| format!("{scope}/{name} {version}"),
        ),
    )
}

/// `…/MODULE/@v/VERSION.zip`.
fn go(path: &str) -> Option<String> {
    let (module, file) = path.trim_start_matches('/').split_once("/@v/")?;
    Some(format!("{module} {}", file.strip_suffix(".zip")?))
}

/// A wheel's file name (`NAME-VERSION-…-….whl`) or a source archive's (`NAME-VERSION.tar.gz`).
fn python(parts: &[&str]) -> Option<String> {
    let file = parts.last()?;
    if let Some(wheel) = file.strip_suffix(".whl") {
        let mut words = wheel.split('-');
        return Some(format!("{} {}", words.next()?, words.next()?));
    }
    let (name, version) = versioned(file.strip_suffix(".tar.gz")?)?;
    Some(format!("{name} {version}"))
}

/// Parts `NAME-VERSION` at the first hyphen before a digit.
fn versioned(text: &str) -> Option<(&str, &str)> {
    let at = text
        .match_indices('-')
        .find(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    Some((&text[..at.0], &text[at.0 + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_where_registries_put_it_and_nowhere_else() {
        for (path, package) in [
            ("/left-pad/-/left-pad-1.3.0.tgz", Some("left-pad 1.3.0")),
            ("/@scope/pad/-/pad-2.0.0-rc.1.tgz?x=1", Some("@scope/pad 2.0.0-rc.1")),
            ("/api/v1/crates/serde/1.0.2/download", Some("serde 1.0.2")),
            ("/crates/serde/serde-derive-1.0.2+x.crate", Some("serde-derive 1.0.2+x")),
            ("/packages/ab/pad_it-1.0-py3-none-any.whl", Some("pad_it 1.0")),
            ("/packages/pad-it-1.0.tar.gz", Some("pad-it 1.0")),
            ("/github.com/a/b/@v/v1.2.3.zip", Some("github.com/a/b v1.2.3")),
            ("/left-pad", None),
            ("/se/rd/serde", None),
            ("/simple/pad/", None),
            ("/x/-/y-1.0.tgz", None),
            ("/x/-/x-`id`.tgz", None),
            ("/", None),
        ] {
            assert_eq!(named(path).as_deref(), package, "{path}");
        }
    }
}
