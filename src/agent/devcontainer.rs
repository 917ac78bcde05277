//! What a devcontainer says of where a repository is built: its image, and the toolchains among its
//! features. Nothing else of one is read.

use serde_json::Value;

use crate::model::Preset;

/// Where one may be described: <https://containers.dev/implementors/spec/#devcontainerjson>.
const PLACES: [&str; 2] = [".devcontainer/devcontainer.json", ".devcontainer.json"];

/// A devcontainer, as far as it is read; one that names nothing where there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Devcontainer {
    /// The image; none where it is built or composed.
    pub image: Option<String>,
    /// Toolchains with the version that is named.
    tools: Vec<(Preset, Option<String>)>,
    /// The file that says so.
    file: &'static str,
}

impl Devcontainer {
    /// Reads the first that is there. `read` gives the text of a file.
    pub fn find(read: &dyn Fn(&str) -> Option<String>) -> Self {
        let found = PLACES.iter().find_map(|file| Some((*file, read(file)?)));
        found.map_or_else(Self::default, |(file, text)| Self::parse(file, &text))
    }

    fn parse(file: &'static str, text: &str) -> Self {
        let options = jsonc_parser::ParseOptions::default();
        // What cannot be read names nothing: it was not written for Baton.
        let value: Value =
            jsonc_parser::parse_to_serde_value(text, &options).ok().flatten().unwrap_or_default();
        let features = value["features"].as_object().into_iter().flatten();
        let tools = features.filter_map(|(id, options)| {
            let version = options.get("version").or(Some(options)).and_then(Value::as_str);
            Some((toolchain(id)?, version.filter(|version| is_plain(version)).map(str::to_owned)))
        });
        Self { image: value["image"].as_str().map(str::to_owned), tools: tools.collect(), file }
    }

    /// Presets with those that it names besides.
    pub fn with(&self, mut presets: Vec<Preset>) -> Vec<Preset> {
        presets.extend(self.tools.iter().map(|(preset, _)| preset));
        presets.sort();
        presets.dedup();
        presets
    }

    /// The version of a preset's tool, with the file that names it.
    pub fn version(&self, preset: Preset) -> Option<(String, String)> {
        let (_, version) = self.tools.iter().find(|(tool, _)| *tool == preset)?;
        Some((version.clone()?, self.file.to_owned()))
    }
}

/// The toolchain of a feature such as `ghcr.io/devcontainers/features/node:1`.
fn toolchain(feature: &str) -> Option<Preset> {
    let name = feature.rsplit('/').next()?;
    Preset::by_name(name.split([':', '@']).next()?)
}

fn is_plain(version: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+/-*".contains(&byte);
    !version.is_empty() && version.len() <= 60 && version.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Devcontainer {
        Devcontainer::parse(PLACES[0], text)
    }

    #[test]
    fn a_devcontainers_image_is_read_past_its_comments() {
        let text = "{\n  // what we build in\n  \"image\": \"node:22\", /* for now */\n}";
        assert_eq!(parsed(text).image.as_deref(), Some("node:22"));
        for other in [r#"{"build": {"dockerfile": "Dockerfile"}}"#, "{", r#"{"image": 7}"#, ""] {
            assert_eq!(parsed(other).image, None, "{other}");
        }
    }

    #[test]
    fn toolchains_are_read_from_its_features_and_others_are_left_alone() {
        let text = r#"{"features": {
            "ghcr.io/devcontainers/features/rust:1": {"version": "1.85", "profile": "minimal"},
            "ghcr.io/devcontainers/features/node:1": "22",
            "ghcr.io/devcontainers/features/python": {"version": "$(rm -rf /)"},
            "ghcr.io/devcontainers/features/docker-in-docker:2": {}
        }}"#;
        let found = parsed(text);
        assert_eq!(
            found.with(vec![Preset::Node, Preset::Go]),
            [Preset::Rust, Preset::Node, Preset::Python, Preset::Go]
        );
        let version = |preset| found.version(preset).map(|(version, _)| version);
        assert_eq!(version(Preset::Rust).as_deref(), Some("1.85"));
        assert_eq!(version(Preset::Node).as_deref(), Some("22"));
        assert_eq!(version(Preset::Python), None);
        assert_eq!(found.version(Preset::Rust).unwrap().1, ".devcontainer/devcontainer.json");
    }

    #[test]
    fn the_first_that_is_there_counts() {
        let read = |name: &str| (name == PLACES[1]).then(|| r#"{"image": "a"}"#.to_owned());
        assert_eq!(Devcontainer::find(&read).image.as_deref(), Some("a"));
        assert_eq!(Devcontainer::find(&|_| None), Devcontainer::default());
    }
}
