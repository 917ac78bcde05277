//! What a repository needs to be built, as its default branch says.

use sha2::{Digest, Sha256};

use super::Runtime;
use crate::{
    egress::Allowance,
    model::{
        BuildPolicy, EgressRule, HostRule, Preset, RepositoryId, Sha,
        preset::{detect, wanted_version},
    },
    sandbox::{HOME, Kind, Spec},
    workspace::{LayerKey, WorkspaceError},
};

/// Grows when a layer of the same files would have to be made anew.
const FORMAT: &str = "1";

/// The longest file in which a version is looked for, in bytes.
const LONGEST_VERSION_FILE: usize = 16 << 10;

/// What a repository needs to be built, and under which key what it fetches is kept.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The commit of the default branch on which all this was read.
    pub tip: Sha,
    /// Its ecosystems.
    pub presets: Vec<Preset>,
    /// The commands of a set-up, those of the presets first.
    pub commands: Vec<String>,
    /// Folders inside the tree that belong to the layer.
    pub kept: Vec<String>,
    /// Whom a set-up may ask.
    pub allowance: Allowance,
    /// Whether coding agents and tests may ask them too.
    pub agents_fetch: bool,
    /// Versions that files of the repository name: of what, which, where.
    pub wanted: Vec<(Preset, String, String)>,
    /// The name of the layer.
    pub key: LayerKey,
}

impl Ground {
    /// Whether there is anything to fetch beforehand.
    #[must_use]
    pub fn has_set_up(&self) -> bool {
        !self.commands.is_empty()
    }
}

/// What was read of the default branch.
struct Seen {
    presets: Vec<Preset>,
    wanted: Vec<(Preset, String, String)>,
    locks: Vec<(String, String)>,
}

impl Runtime {
    /// Reads what the default branch needs. Its mirror has to be fresh.
    ///
    /// # Errors
    /// When the commit is not there.
    pub async fn ground(
        &self,
        repository: RepositoryId,
        tip: &Sha,
        build: &BuildPolicy,
        ceiling: &[EgressRule],
    ) -> Result<Ground, WorkspaceError> {
        let (at, named) = (tip.clone(), build.presets.clone());
        let reading = self.workspaces.read(repository, move |mirror| {
            let text = |name: &str| mirror.file(&at, name, LONGEST_VERSION_FILE).ok().flatten();
            let read =
                |name: &str| text(name).map(|text| String::from_utf8_lossy(&text).into_owned());
            let presets = match named {
                Some(presets) => presets,
                None => {
                    detect(&mirror.root_names(&at)?, &read(".tool-versions").unwrap_or_default())
                }
            };
            let wanted = presets.iter().filter_map(|preset| {
                let (version, file) = wanted_version(*preset, &read)?;
                Some((*preset, version, file))
            });
            let wanted = wanted.collect();
            let mut names: Vec<&str> =
                presets.iter().flat_map(|preset| preset.locks()).copied().collect();
            names.push(".tool-versions");
            let locks = mirror.files_named(&at, &names)?;
            Ok(Seen { presets, wanted, locks })
        });
        let seen = reading.await?;
        Ok(self.put_together(tip, build, ceiling, seen))
    }

    fn put_together(
        &self,
        tip: &Sha,
        build: &BuildPolicy,
        ceiling: &[EgressRule],
        seen: Seen,
    ) -> Ground {
        let Seen { presets, wanted, locks } = seen;
        let prepare = presets.iter().filter_map(|preset| preset.prepare()).map(str::to_owned);
        let commands: Vec<String> = if build.setup.is_empty() {
            Vec::new()
        } else {
            prepare.chain(build.setup.iter().cloned()).collect()
        };
        let mut kept: Vec<String> =
            presets.iter().flat_map(|preset| preset.kept()).map(ToString::to_string).collect();
        kept.extend(
            build.keep.iter().filter(|folder| !kept.contains(folder)).cloned().collect::<Vec<_>>(),
        );
        let registries = presets.iter().flat_map(|preset| preset.hosts());
        let registries = registries.filter_map(|host| HostRule::new(host).ok());
        let policy = registries.chain(build.hosts.iter().cloned()).collect();
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // The length first, so that no two lists read the same.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        add(FORMAT);
        add(self.sandbox.image().unwrap_or_default());
        for list in [&commands, &kept] {
            add(&list.len().to_string());
            list.iter().for_each(|text| add(text));
        }
        for preset in &presets {
            add(preset.name());
            add(&self.tools.identity(preset.program()));
        }
        for (path, content) in &locks {
            add(path);
            add(content);
        }
        Ground {
            tip: tip.clone(),
            presets,
            commands,
            kept,
            allowance: Allowance { policy, server: ceiling.to_vec(), offline: false },
            agents_fetch: build.agents_fetch,
            wanted,
            key: LayerKey::new(&hash.finalize().into()),
        }
    }

    /// What stands in the way of a set-up on this server, with what its operator can do.
    #[must_use]
    pub fn missing_for(&self, ground: &Ground) -> Option<String> {
        if self.sandbox.kind() == Kind::Host {
            return Some(
                "a set-up needs the sandbox: on the bare machine nothing keeps it from the network"
                    .to_owned(),
            );
        }
        if self.sandbox.image().is_some() {
            // What an image holds only a start in it shows.
            return None;
        }
        let lacking = ground.presets.iter().find(|preset| !self.tools.has(preset.program()))?;
        let program = lacking.program();
        let wanted = ground.wanted.iter().find(|(preset, _, _)| preset == lacking);
        let wanted = wanted.map(|(_, version, file)| format!(" ({file} names {version})"));
        Some(format!(
            "this server shows its sandboxes no {program}, which the preset {} needs{}: its operator \
             installs it below /usr, or names its folder in `tools` under `[sandbox]` in baton.toml",
            lacking.name(),
            wanted.unwrap_or_default()
        ))
    }

    /// What the versions of tools here and those that the repository names differ in. A tool of another
    /// version may well do, so this is a note and no refusal.
    pub async fn notes_on(&self, ground: &Ground) -> Vec<String> {
        let mut notes = Vec::new();
        for (preset, version, file) in &ground.wanted {
            let Some(here) = self.version_of(preset.program()).await else { continue };
            if !fits(version, &here) {
                notes.push(format!("{file} names {} {version}, and here is {here}", preset.name()));
            }
        }
        notes
    }

    /// What a program says of itself, in a sandbox.
    async fn version_of(&self, program: &str) -> Option<String> {
        let mut spec = Spec::new(vec![program.to_owned(), "--version".to_owned()]);
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
