//! One small package for each tool. It pads a text; what matters is that nothing works without it.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256, Sha512};

use super::archive::{File, tar_gz, zip};

/// What the package is called by cargo and npm; pip calls it `baton_pad`.
pub const NAME: &str = "baton-pad";
/// Its only version.
pub const VERSION: &str = "1.0.0";

fn file(path: &str, text: &str) -> File {
    (path.to_owned(), text.to_owned())
}

/// The crate.
pub(super) fn krate() -> Vec<u8> {
    let manifest =
        format!("[package]\nname = \"{NAME}\"\nversion = \"{VERSION}\"\nedition = \"2021\"\n");
    let code = "pub fn pad(text: &str) -> String {\n    format!(\"{text:>8}\")\n}\n";
    tar_gz(&[
        file(&format!("{NAME}-{VERSION}/Cargo.toml"), &manifest),
        file(&format!("{NAME}-{VERSION}/src/lib.rs"), code),
    ])
}

/// The npm tarball.
pub(super) fn tarball() -> Vec<u8> {
    let manifest =
        format!("{{\"name\": \"{NAME}\", \"version\": \"{VERSION}\", \"main\": \"index.js\"}}\n");
    tar_gz(&[
        file("package/package.json", &manifest),
        file("package/index.js", "module.exports = (text) => text.padStart(8);\n"),
    ])
}

/// The wheel's file name.
pub(super) fn wheel_name() -> String {
    format!("baton_pad-{VERSION}-py3-none-any.whl")
}

/// The wheel.
pub(super) fn wheel() -> Vec<u8> {
    let info = format!("baton_pad-{VERSION}.dist-info");
    let names = ["baton_pad.py", "METADATA", "WHEEL", "RECORD"];
    let record = names.map(|name| match name {
        "baton_pad.py" => format!("{name},,\n"),
        inner => format!("{info}/{inner},,\n"),
    });
    zip(&[
        file("baton_pad.py", "def pad(text):\n    return text.rjust(8)\n"),
        file(
            &format!("{info}/METADATA"),
            &format!("Metadata-Version: 2.1\nName: baton-pad\nVersion: {VERSION}\n"),
        ),
        file(
            &format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        file(&format!("{info}/RECORD"), &record.concat()),
    ])
}

/// The sum that cargo and pip check.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sum that npm checks.
pub(super) fn integrity(bytes: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)))
}
