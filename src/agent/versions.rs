//! Looks whether the tools here are those that a repository names, and says what is not so.

use super::{Ground, Runtime};
use crate::sandbox::{HOME, Spec};

impl Runtime {
    /// What the versions of tools here and those that the repository names differ in. A tool of another
    /// version may well do, so this is a note and no refusal.
    pub async fn notes_on(&self, ground: &Ground) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(image) = &ground.other_image {
            notes.push(format!(
                "the devcontainer names the image {image}, which is not among `images` under `[sandbox]` \
                 of this server: its own is used"
            ));
        }
        for preset in &ground.presets {
            if let Some(image) = self.image_without(preset.program(), ground).await {
                notes.push(format!(
                    "the image {image} has no {}, which the preset {} needs: its operator builds one that \
                     begins with FROM {image} and installs it, or shows its folder by `tools` under \
                     `[sandbox]`",
                    preset.program(),
                    preset.name()
                ));
            }
        }
        for (preset, version, file) in &ground.wanted {
            let Some(here) = self.version_of(preset.program(), ground).await else { continue };
            if !fits(version, &here) {
                notes.push(format!("{file} names {} {version}, and here is {here}", preset.name()));
            }
        }
        notes
    }

    /// The image that repositories work in, if a program is not found there.
    async fn image_without<'a>(&'a self, program: &str, ground: &'a Ground) -> Option<&'a str> {
        let image = ground.image.as_deref().or(self.sandbox.image())?;
        let find = ["/bin/sh", "-c", "command -v -- \"$1\" || echo none", "sh", program];
        (self.said(&find, ground).await? == "none").then_some(image)
    }

    /// What a program says of itself, in a sandbox.
    async fn version_of(&self, program: &str, ground: &Ground) -> Option<String> {
        self.said(&[program, "--version"], ground).await
    }

    /// What a command prints that sees the repository's tools and nothing else.
    async fn said(&self, argv: &[&str], ground: &Ground) -> Option<String> {
        let mut spec = Spec::new(argv.iter().map(ToString::to_string).collect());
        spec.image.clone_from(&ground.image);
        spec.env = vec![
            ("PATH".to_owned(), self.tools.search_path(&[])),
            ("HOME".to_owned(), HOME.to_owned()),
        ];
        spec.env.extend(self.tools.variables());
        spec.mounts = self.tools.mounts();
        let taken = self.sandbox.start(spec).await.ok()?.finish(4096).await;
        let said = String::from_utf8_lossy(&taken.stdout).trim().to_owned();
        (taken.exit.is_success() && !said.is_empty()).then_some(said)
    }
}

/// Whether a version that is named, as far as it is one, is the one that a program says it has. A
/// channel or alias (`stable`, `lts/*`) fits everything.
fn fits(named: &str, said: &str) -> bool {
    if !named.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let here = said.split(|c: char| c.is_whitespace()).map(|word| word.trim_start_matches('v'));
    let mut numbers = here.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let Some(here) = numbers.next() else { return true };
    here == named || here.strip_prefix(named).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_fits_as_far_as_it_is_named() {
        for (named, said, right) in [
            ("20", "v20.20.2", true),
            ("20.1", "v20.20.2", false),
            ("18", "v20.20.2", false),
            ("1.9", "cargo 1.95.0 (f2d3ce0bd 2026-03-21)", false),
            ("1.95.0", "cargo 1.95.0 (f2d3ce0bd 2026-03-21)", true),
            ("3.11", "Python 3.11.2", true),
            ("stable", "cargo 1.95.0", true),
            ("lts/*", "v20.20.2", true),
        ] {
            assert_eq!(fits(named, said), right, "{named} and {said}");
        }
    }
}
