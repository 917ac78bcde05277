//! Where the published schemas are.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The nearest `node_modules`: named by `NODE_MODULES`, or found upwards of this folder.
pub fn node_modules() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NODE_MODULES") {
        return Some(PathBuf::from(named));
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join("node_modules")).find(|folder| folder.is_dir())
}

/// Reads a JSON document.
pub(super) fn read(path: &Path) -> io::Result<Value> {
    let bytes = std::fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(serde_json::from_slice(&bytes)?)
}
