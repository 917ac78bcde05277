//! Files that programs expect under `/etc`, made up: no account or host of the machine is in them.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Their names.
pub(super) const FILES: [&str; 4] = ["passwd", "group", "hosts", "nsswitch.conf"];

/// Writes them to `etc` in a folder, with one account beside root and nobody.
pub(super) fn write(state: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let etc = state.join("etc");
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&etc)?;
    for name in FILES {
        let path = etc.join(name);
        fs::write(&path, text(name, uid, gid))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o755))
}

/// The account comes first: where it is nobody's own number, it is the one that is found.
fn text(name: &str, uid: u32, gid: u32) -> String {
    match name {
        "passwd" => format!(
            "baton:x:{uid}:{gid}::/home/baton:/bin/sh\nroot:x:0:0:root:/:/bin/sh\n\
             nobody:x:65534:65534:nobody:/:/bin/false\n"
        ),
        "hosts" => "127.0.0.1 localhost baton\n::1 localhost\n".to_owned(),
        "group" => format!("baton:x:{gid}:\nroot:x:0:\nnogroup:x:65534:\n"),
        _ => "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
    }
}
