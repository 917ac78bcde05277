//! What a run is given to build with: caches, folders inside the tree, tools, perhaps a way to fetch.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{Ground, Runtime, runtime::EGRESS_PORT};
use crate::{
    egress::{Allowance, Exit},
    model::preset::CACHE,
    sandbox::{Gateway, Mount},
    workspace::{Layer, LayerFolders, Making, Workspace, Workspaces},
};

/// What a run is given.
#[derive(Debug)]
pub struct Supplies {
    /// What the repository needs.
    pub ground: Ground,
    /// Where caches and folders come from.
    pub stock: Stock,
    /// What the run may reach.
    pub reach: Reach,
}

/// What a run may reach with its supplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The hosts that are named, through an exit of its own.
    Named,
    /// Nothing, through an exit that writes down what was asked for and says what would allow it.
    Nothing,
    /// What it reaches anyway; there is no exit.
    Other,
}

/// Where caches and folders come from.
#[derive(Debug)]
pub enum Stock {
    /// A layer, to be looked at.
    Shown(Layer),
    /// A layer, of which the run gets a copy that it may write to.
    Copied(Layer),
    /// A layer that the run makes.
    Making(Making),
    /// Nothing was set up: the caches are empty.
    Empty,
}

/// Supplies laid out for one run. Written down, it has no open exit.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Fitting {
    pub mounts: Vec<Mount>,
    pub env: Vec<(String, String)>,
    pub search_path: String,
    pub image: Option<String>,
    pub egress: Option<Gateway>,
    /// What that lets through.
    pub allowance: Option<Allowance>,
    /// Open as long as the run lasts.
    #[serde(skip)]
    pub exit: Option<Exit>,
}

impl Runtime {
    /// Lays supplies out beside a workspace.
    ///
    /// # Errors
    /// When a copy cannot be made or an exit not opened.
    pub(super) async fn fit(
        &self,
        supplies: Option<&Supplies>,
        workspace: &Workspace,
    ) -> io::Result<Fitting> {
        let mut fitting = Fitting {
            mounts: self.tools.mounts(),
            env: self.tools.variables(),
            search_path: self.tools.search_path(&[]),
            ..Fitting::default()
        };
        let Some(supplies) = supplies else { return Ok(fitting) };
        fitting.image.clone_from(&supplies.ground.image);
        let presets = &supplies.ground.presets;
        let before: Vec<&str> = presets.iter().filter_map(|preset| preset.search_path()).collect();
        fitting.search_path = self.tools.search_path(&before);
        workspace.exclude(&supplies.ground.kept)?;
        let (folders, writable) = self.stocked(supplies, workspace).await?;
        fitting.mounts.push(Mount { host: folders.cache(), inside: CACHE.into(), writable });
        for (n, name) in supplies.ground.kept.iter().enumerate() {
            let inside = workspace.tree.join(name);
            fitting.mounts.push(Mount { host: folders.kept(n), inside, writable });
        }
        let variables = presets.iter().flat_map(|preset| preset.variables());
        let offline = presets.iter().filter(|_| supplies.reach == Reach::Nothing);
        let offline = offline.flat_map(|preset| preset.offline());
        let pairs = variables.chain(offline);
        fitting.env.extend(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if supplies.reach != Reach::Other {
            let offline = supplies.reach == Reach::Nothing;
            let allowance = supplies.ground.allowance.clone();
            let allowance = Allowance { offline, ..allowance };
            let exit = self.exits.open(allowance.clone())?;
            fitting.allowance = Some(allowance);
            fitting.env.extend(proxied());
            let socket = exit.socket().to_owned();
            fitting.egress = Some(Gateway { socket, port: EGRESS_PORT });
            fitting.exit = Some(exit);
        }
        Ok(fitting)
    }

    /// The folders that a run sees, and whether it may write there.
    async fn stocked(
        &self,
        supplies: &Supplies,
        workspace: &Workspace,
    ) -> io::Result<(LayerFolders, bool)> {
        let own = workspace.tree.with_file_name("layer");
        match &supplies.stock {
            Stock::Shown(layer) => Ok((layer.folders.clone(), false)),
            Stock::Making(making) => Ok((making.folders.clone(), true)),
            Stock::Copied(layer) => {
                let (from, to) = (layer.folders.clone(), own.clone());
                let copying =
                    tokio::task::spawn_blocking(move || Workspaces::copy_layer(&from, &to));
                let copied = copying.await.map_err(io::Error::other)??;
                self.give_away(&own)?;
                Ok((copied, true))
            }
            Stock::Empty => {
                let folders = self.empty(&own, supplies.ground.kept.len())?;
                Ok((folders, true))
            }
        }
    }

    fn empty(&self, own: &Path, kept: usize) -> io::Result<LayerFolders> {
        let folders = LayerFolders::at(own.to_owned());
        std::fs::create_dir_all(folders.cache())?;
        for n in 0..kept {
            std::fs::create_dir_all(folders.kept(n))?;
        }
        self.give_away(own)?;
        Ok(folders)
    }
}

/// Variables by which tools find the proxy, in both ways of writing them.
fn proxied() -> Vec<(String, String)> {
    let proxy = format!("http://127.0.0.1:{EGRESS_PORT}");
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY"];
    let mut pairs: Vec<(String, String)> = Vec::new();
    for name in proxies {
        pairs.push((name.to_owned(), proxy.clone()));
        pairs.push((name.to_ascii_lowercase(), proxy.clone()));
    }
    // Servers that a test starts inside are not asked through it.
    for name in ["NO_PROXY", "no_proxy"] {
        pairs.push((name.to_owned(), "localhost,127.0.0.1,::1".to_owned()));
    }
    pairs
}
