//! The ecosystems that a repository can be built in, and what each needs: registries, caches,
//! variables, programs. Facts about other people's tools; nothing is decided here.

use serde::{Deserialize, Serialize};

/// Where the caches of a set-up are inside every sandbox: tools keep absolute paths in them.
pub const CACHE: &str = "/baton/cache";

/// An ecosystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Cargo and crates.io.
    Rust,
    /// npm and its registry.
    Node,
    /// pip and PyPI.
    Python,
    /// Go modules and their proxy.
    Go,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Node, Self::Python, Self::Go];

    /// The name in policy and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Node => "node",
            Self::Python => "python",
            Self::Go => "go",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// The public registries, as their tools ask them without further configuration.
    #[must_use]
    pub fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["crates.io", "index.crates.io", "static.crates.io"],
            Self::Node => &["registry.npmjs.org"],
            Self::Python => &["pypi.org", "files.pythonhosted.org"],
            Self::Go => &["proxy.golang.org", "sum.golang.org"],
        }
    }

    /// Files in the repository's root that show that it is built so.
    #[must_use]
    pub fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["Cargo.toml", "rust-toolchain.toml", "rust-toolchain"],
            Self::Node => &["package.json", ".nvmrc"],
            Self::Python => &["pyproject.toml", "requirements.txt", "setup.py", "Pipfile"],
            Self::Go => &["go.mod"],
        }
    }

    /// The name of its tool in `.tool-versions`.
    #[must_use]
    pub fn in_tool_versions(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Node => "nodejs",
            Self::Python => "python",
            Self::Go => "golang",
        }
    }

    /// Files, anywhere in the repository, whose content decides what a set-up brings.
    #[must_use]
    pub fn locks(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &[
                "Cargo.lock",
                "Cargo.toml",
                "rust-toolchain.toml",
                "rust-toolchain",
                "config.toml",
            ],
            Self::Node => &[
                "package-lock.json",
                "npm-shrinkwrap.json",
                "yarn.lock",
                "pnpm-lock.yaml",
                "package.json",
                ".npmrc",
                ".nvmrc",
            ],
            Self::Python => &[
                "requirements.txt",
                "requirements-dev.txt",
                "constraints.txt",
                "poetry.lock",
                "uv.lock",
                "Pipfile.lock",
                "pyproject.toml",
                "setup.py",
                "setup.cfg",
            ],
            Self::Go => &["go.sum", "go.mod", "go.work"],
        }
    }

    /// Folders inside the tree that a set-up fills, from the root.
    #[must_use]
    pub fn kept(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["node_modules"],
            Self::Rust | Self::Python | Self::Go => &[],
        }
    }

    /// The program without which nothing goes.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Rust => "cargo",
            Self::Node => "node",
            Self::Python => "python3",
            Self::Go => "go",
        }
    }

    /// A command that is run before the repository's own, where its tool needs a place to be made.
    #[must_use]
    pub fn prepare(self) -> Option<&'static str> {
        match self {
            // `pip install` would otherwise want to write to the machine's own Python.
            Self::Python => Some("python3 -m venv \"$VIRTUAL_ENV\""),
            Self::Rust | Self::Node | Self::Go => None,
        }
    }

    /// A folder of programs that the set-up brings, before all others in `PATH`.
    #[must_use]
    pub fn search_path(self) -> Option<&'static str> {
        match self {
            Self::Rust => Some("/baton/cache/cargo/bin"),
            Self::Node => None,
            Self::Python => Some("/baton/cache/venv/bin"),
            Self::Go => Some("/baton/cache/go/bin"),
        }
    }

    /// Variables that point its tool at the cache.
    #[must_use]
    pub fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[("CARGO_HOME", "/baton/cache/cargo")],
            Self::Node => &[
                ("npm_config_cache", "/baton/cache/npm"),
                ("npm_config_audit", "false"),
                ("npm_config_fund", "false"),
                ("npm_config_update_notifier", "false"),
                ("YARN_CACHE_FOLDER", "/baton/cache/yarn"),
            ],
            Self::Python => &[
                ("VIRTUAL_ENV", "/baton/cache/venv"),
                ("PIP_CACHE_DIR", "/baton/cache/pip"),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                ("UV_CACHE_DIR", "/baton/cache/uv"),
            ],
            Self::Go => &[
                ("GOPATH", "/baton/cache/go"),
                ("GOMODCACHE", "/baton/cache/go/pkg/mod"),
                ("GOCACHE", "/baton/cache/go-build"),
                // Another toolchain cannot be fetched: what is missing is said instead.
                ("GOTOOLCHAIN", "local"),
            ],
        }
    }

    /// Variables that tell its tool not to ask a registry where there is none to reach.
    #[must_use]
    pub fn offline(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[("CARGO_NET_OFFLINE", "true")],
            Self::Node => &[("npm_config_offline", "true")],
            Self::Python => &[("PIP_NO_INDEX", "1")],
            Self::Go => &[("GOPROXY", "off")],
        }
    }

    /// Files in the root in which a repository names the version of its tool.
    #[must_use]
    pub fn version_files(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rust-toolchain.toml", "rust-toolchain"],
            Self::Node => &[".nvmrc", ".node-version"],
            Self::Python => &[".python-version"],
            Self::Go => &[],
        }
    }
}

/// The presets whose marks lie in a repository's root. `tools` is the text of `.tool-versions`.
#[must_use]
pub fn detect(root: &[String], tools: &str) -> Vec<Preset> {
    let named: Vec<&str> =
        tools.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let is_there = |preset: &Preset| {
        named.contains(&preset.in_tool_versions())
            || preset.marks().iter().any(|mark| root.iter().any(|name| name == mark))
    };
    Preset::ALL.into_iter().filter(is_there).collect()
}

/// The version that a repository names for a preset's tool, with the file that names it. `read` gives
/// the text of a file in the root.
#[must_use]
pub fn wanted_version(
    preset: Preset,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let own = preset.version_files().iter().find_map(|file| {
        let version = version_in(file, &read(file)?)?;
        Some((version, (*file).to_owned()))
    });
    own.or_else(|| {
        let tools = read(".tool-versions")?;
        let line = tools.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = line
            .into_iter()
            .find(|words| words.first().is_some_and(|word| *word == preset.in_tool_versions()))?;
        Some(((*words.get(1)?).to_owned(), ".tool-versions".to_owned()))
    })
}

/// The version in a file that holds nothing else, or in a `channel = "…"`.
fn version_in(file: &str, text: &str) -> Option<String> {
    let first =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let version = if file.ends_with(".toml") || first.starts_with('[') {
        let channel = text.lines().find_map(|line| line.trim().strip_prefix("channel"))?;
        channel.trim_start().strip_prefix('=')?.split(['"', '\'']).nth(1)?
    } else {
        first
    };
    let version = version.trim().trim_start_matches('v');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+/-*".contains(&b);
    (!version.is_empty() && version.len() <= 60 && version.bytes().all(plain))
        .then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_the_files_in_its_root() {
        let root = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            detect(&root(&["Cargo.toml", "package.json"]), ""),
            [Preset::Rust, Preset::Node]
        );
        assert_eq!(detect(&root(&["go.mod"]), "python 3.12\n# rust"), [Preset::Python, Preset::Go]);
        assert_eq!(detect(&root(&["README.md"]), ""), []);
    }

    #[test]
    fn a_wanted_version_is_read_where_tools_read_it() {
        let file = |name: &'static str, text: &'static str| {
            move |asked: &str| (asked == name).then(|| text.to_owned())
        };
        let wanted = |preset, name, text| {
            wanted_version(preset, &file(name, text)).map(|(version, _)| version)
        };
        let toml = "[toolchain]\nchannel = \"1.90.0\"\ncomponents = []\n";
        assert_eq!(wanted(Preset::Rust, "rust-toolchain.toml", toml).as_deref(), Some("1.90.0"));
        assert_eq!(wanted(Preset::Rust, "rust-toolchain", "nightly\n").as_deref(), Some("nightly"));
        assert_eq!(wanted(Preset::Node, ".nvmrc", "# lts\nv20.1\n").as_deref(), Some("20.1"));
        let tools = "nodejs 22.1.0\npython 3.11.7 3.10\n";
        assert_eq!(wanted(Preset::Python, ".tool-versions", tools).as_deref(), Some("3.11.7"));
        assert_eq!(wanted(Preset::Node, ".nvmrc", "$(rm -rf /)"), None);
        assert_eq!(wanted(Preset::Go, "go.mod", "go 1.21"), None);
    }
}
