//! The files, read at compile time from `emulators/sample/`.

/// One file of the sample repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFile {
    /// Path from the repository's root, with `/` between its parts.
    pub path: &'static str,
    /// The whole text, ending in a newline.
    pub contents: &'static str,
    /// Whether git's mode for it is 100755 rather than 100644.
    pub executable: bool,
}

/// Names one plain file below `emulators/sample/`.
macro_rules! plain {
    ($path:literal) => {
        SampleFile {
            path: $path,
            contents: include_str!(concat!("../../sample/", $path)),
            executable: false,
        }
    };
}

/// Gives every file of the repository, sorted by path.
pub fn files() -> Vec<SampleFile> {
    vec![
        plain!(".github/baton.yml"),
        plain!(".gitignore"),
        plain!("README.md"),
        plain!("package.json"),
        plain!("public/ruler.txt"),
        plain!("scripts/deploy.mjs"),
        plain!("scripts/verify.mjs"),
        plain!("server.mjs"),
        plain!("src/files.mjs"),
        plain!("src/range.mjs"),
        plain!("test/range.test.mjs"),
        plain!("test/server.test.mjs"),
    ]
}
