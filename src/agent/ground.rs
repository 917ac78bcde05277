//! What a repository needs to be built, as its default branch says.

use sha2::{Digest, Sha256};

use super::{Runtime, devcontainer::Devcontainer};
use crate::{
    egress::Allowance,
    model::{
        BuildPolicy, EgressRule, HostRule, Preset, RepositoryId, Sha,
        preset::{detect, wanted_version},
    },
    sandbox::Kind,
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
    /// The image to work in, where it is not the sandbox's own.
    pub image: Option<String>,
    /// An image that a devcontainer names, and that this server does not allow.
    pub other_image: Option<String>,
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
    image: Option<String>,
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
            let devcontainer = Devcontainer::find(&read);
            let presets = match named {
                Some(presets) => presets,
                None => devcontainer.with(detect(
                    &mirror.root_names(&at)?,
                    &read(".tool-versions").unwrap_or_default(),
                )),
            };
            let wanted = presets.iter().filter_map(|preset| {
                let of_files = wanted_version(*preset, &read);
                let (version, file) = of_files.or_else(|| devcontainer.version(*preset))?;
                Some((*preset, version, file))
            });
            let wanted = wanted.collect();
            let mut names: Vec<&str> =
                presets.iter().flat_map(|preset| preset.locks()).copied().collect();
            names.push(".tool-versions");
            let locks = mirror.files_named(&at, &names)?;
            Ok(Seen { image: devcontainer.image, presets, wanted, locks })
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
        let Seen { image, presets, wanted, locks } = seen;
        let (image, other_image) = self.image(build, image);
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
        add(image.as_deref().or(self.sandbox.image()).unwrap_or_default());
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
            image,
            other_image,
            presets,
            commands,
            kept,
            allowance: Allowance { policy, server: ceiling.to_vec(), offline: false },
            agents_fetch: build.agents_fetch,
            wanted,
            key: LayerKey::new(&hash.finalize().into()),
        }
    }

    /// The image that a repository works in, and one that its devcontainer names in vain. What policy
    /// names is asked for; what a devcontainer names was not written for Baton, and is taken where it can
    /// be had.
    fn image(
        &self,
        build: &BuildPolicy,
        devcontainer: Option<String>,
    ) -> (Option<String>, Option<String>) {
        if build.image.is_some() || self.sandbox.image().is_none() {
            return (build.image.clone(), None);
        }
        match devcontainer {
            Some(image) if self.allows(&image) => (Some(image), None),
            other => (None, other),
        }
    }

    fn allows(&self, image: &str) -> bool {
        self.sandbox.image() == Some(image) || self.programs.images.iter().any(|it| it == image)
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
        if let Some(image) = &ground.image {
            if self.sandbox.image().is_none() {
                return Some(format!(
                    "`environment.image` names {image}, and this server runs agents in {}: its operator \
                     sets `kind = \"container\"` under `[sandbox]` in baton.toml",
                    self.sandbox.kind()
                ));
            }
            if !self.allows(image) {
                return Some(format!(
                    "this server does not allow the image {image}: its operator builds or loads it, and \
                     adds it to `images` under `[sandbox]` in baton.toml"
                ));
            }
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
}
