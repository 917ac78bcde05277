//! Repositories that need a registry: the demo's own, and beside its code some that is built with a
//! package.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use emulators::registry::{NAME, Registry, VERSION};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::absent::{Lack, skip};

/// Tries what no sandbox may: to reach the registry itself, past the proxy. Fails where that works.
const PROBE: &str = "import net from 'node:net';
const socket = net.connect(PORT, '127.0.0.1');
socket.on('connect', () => { console.error('there is a direct connection'); process.exit(1); });
socket.on('error', () => process.exit(0));
";

/// A repository.
pub struct Sample {
    /// Its `.github/baton.yml`; JSON is YAML.
    pub policy: Value,
    files: Vec<(String, String)>,
    /// Where the registry has the package.
    pub package: String,
    /// How the package is named where it was fetched.
    pub named: String,
    /// Folders that sandboxes are shown.
    pub tools: Vec<PathBuf>,
    _toolchain: Option<TempDir>,
}

impl Sample {
    pub fn new(policy: Value, files: &[(&str, &str)], package: &str, named: &str) -> Self {
        Self {
            policy,
            files: files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect(),
            package: package.into(),
            named: named.into(),
            tools: Vec::new(),
            _toolchain: None,
        }
    }

    /// As the recipe of a world has them.
    pub fn files(&self) -> Vec<(String, String, bool)> {
        let policy = (".github/baton.yml".to_owned(), self.policy.to_string());
        let files = self.files.iter().cloned().chain([policy]);
        files.map(|(path, text)| (path, text, false)).collect()
    }
}

/// Set-up and tests, each after a look whether there is a direct connection; the tests spoil what they
/// were given, which the next run must not see.
fn policy(registry: &Registry, setup: &str, test: &str, spoil: &str) -> Value {
    json!({
        "version": 1,
        "setup": ["node probe.mjs", setup],
        "environment": { "hosts": [format!("registry.test:{}", registry.port())] },
        "test": ["node probe.mjs", test, "node --test", spoil],
    })
}

fn probe(registry: &Registry) -> String {
    PROBE.replace("PORT", &registry.port().to_string())
}

fn address(registry: &Registry) -> String {
    format!("http://registry.test:{}", registry.port())
}

/// Whether a program is there that runs so; else says that nothing was shown.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let there = Command::new(program).args(arguments).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        skip(Lack::Machine, format!("{program} {arguments:?} does not run here"));
    }
    there
}

/// npm with a lock file. Its package is used by a test that the coder runs, too.
pub fn node(registry: &Registry) -> Option<Sample> {
    runs("/usr/bin/npm", &["--version"]).then(|| {
        let manifest = json!({
            "name": "sample", "version": "1.0.0", "private": true, "type": "module",
            "dependencies": { NAME: VERSION },
        });
        let tarball = format!("{}/npm/{NAME}/-/{NAME}-{VERSION}.tgz", address(registry));
        let lock = json!({
            "name": "sample", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
            "packages": {
                "": { "name": "sample", "version": "1.0.0", "dependencies": { NAME: VERSION } },
                (format!("node_modules/{NAME}")): {
                    "version": VERSION, "resolved": tarball, "integrity": registry.integrity(),
                },
            },
        });
        let test = "import { test } from 'node:test';\nimport pad from 'baton-pad';\n\
                    test('pads', () => { if (pad('x') !== '       x') throw new Error('not padded'); });\n";
        let npmrc = format!("registry={}/npm/\n", address(registry));
        let files = [
            ("package.json", manifest.to_string()),
            ("package-lock.json", lock.to_string()),
            (".npmrc", npmrc),
            (".gitignore", String::new()),
            ("probe.mjs", probe(registry)),
            ("test/pad.test.mjs", test.to_owned()),
        ];
        let spoil = "! grep -q spoilt node_modules/baton-pad/index.js && \
                     echo '// spoilt' >> node_modules/baton-pad/index.js && echo > \"$npm_config_cache/x\"";
        let package = format!("/npm/{NAME}/-/{NAME}-{VERSION}.tgz");
        sample(policy(registry, "npm ci", "npm ls baton-pad", spoil), &files, &package, "baton-pad 1.0.0")
    })
}

/// npm with nothing to fetch yet.
pub fn node_without_package(registry: &Registry) -> Option<Sample> {
    let mut sample = node(registry)?;
    let manifest = json!({"name": "sample", "version": "1.0.0", "private": true, "type": "module"});
    let lock = json!({
        "name": "sample", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": { "": { "name": "sample", "version": "1.0.0" } },
    });
    sample.files.retain(|(path, _)| !path.starts_with("package") && !path.starts_with("test/"));
    sample.files.push(("package.json".to_owned(), manifest.to_string()));
    sample.files.push(("package-lock.json".to_owned(), lock.to_string()));
    Some(sample)
}

/// pip with requirements.
pub fn python(registry: &Registry) -> Option<Sample> {
    runs("/usr/bin/python3", &["-c", "import venv, ensurepip"]).then(|| {
        let requirements = format!(
            "--index-url {}/simple/\n--trusted-host registry.test\nbaton-pad=={VERSION}\n",
            address(registry)
        );
        let test = "import baton_pad\nassert baton_pad.pad('x') == '       x'\n";
        let files = [
            ("requirements.txt", requirements),
            ("pad_test.py", test.to_owned()),
            ("probe.mjs", probe(registry)),
        ];
        let spoil = "echo 'raise SystemExit(1)' > \"$(python -c 'import baton_pad; print(baton_pad.__file__)')\"";
        let package = format!("/packages/baton_pad-{VERSION}-py3-none-any.whl");
        let policy = policy(registry, "pip install -r requirements.txt", "python pad_test.py", spoil);
        sample(policy, &files, &package, "baton_pad 1.0.0")
    })
}

/// Cargo with a lock file.
pub fn rust(registry: &Registry) -> Option<Sample> {
    let (toolchain, folder) = toolchain()?;
    let config = format!(
        "[source.crates-io]\nreplace-with = \"here\"\n\
         [source.here]\nregistry = \"sparse+{}/crates/index/\"\n",
        address(registry)
    );
    let manifest = format!(
        "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [lib]\npath = \"rust/lib.rs\"\n[dependencies]\n{NAME} = \"{VERSION}\"\n"
    );
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"{NAME}\"\nversion = \"{VERSION}\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n\n\
         [[package]]\nname = \"sample\"\nversion = \"0.1.0\"\ndependencies = [\n \"{NAME}\",\n]\n",
        registry.checksum()
    );
    let code = "#[test]\nfn pads() {\n    assert_eq!(baton_pad::pad(\"x\"), \"       x\");\n}\n";
    let files = [
        ("Cargo.toml", manifest),
        ("Cargo.lock", lock),
        (".cargo/config.toml", config),
        ("rust/lib.rs", code.to_owned()),
        ("probe.mjs", probe(registry)),
    ];
    let spoil = "for file in \"$CARGO_HOME\"/registry/src/*/baton-pad-1.0.0/src/lib.rs; do \
                 echo 'not rust' > \"$file\"; done";
    let package = format!("/crates/{NAME}/{VERSION}/download");
    let policy = policy(registry, "cargo fetch --locked", "cargo test --locked", spoil);
    let sample = sample(policy, &files, &package, "baton-pad 1.0.0");
    Some(Sample { tools: vec![folder], _toolchain: toolchain, ..sample })
}

fn sample(policy: Value, files: &[(&str, String)], package: &str, named: &str) -> Sample {
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Sample::new(policy, &files, package, named)
}

/// The toolchain that builds this very test, at a place that every account can pass: its own, or one of
/// hard links where a folder above it is closed, as root's home is.
fn toolchain() -> Option<(Option<TempDir>, PathBuf)> {
    if !runs("rustc", &["--print", "sysroot"]) || !runs("cc", &["--version"]) {
        return None;
    }
    let said = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let own = PathBuf::from(String::from_utf8(said.stdout).unwrap().trim());
    let open =
        |path: &Path| path.metadata().is_ok_and(|seen| seen.permissions().mode() & 0o001 != 0);
    if own.ancestors().all(open) {
        return Some((None, own));
    }
    let folder = tempfile::Builder::new().prefix("baton-toolchain-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let place = folder.path().join("rust");
    std::fs::create_dir(&place).unwrap();
    for part in ["bin", "lib"] {
        let linked =
            Command::new("cp").arg("-al").arg(own.join(part)).arg(&place).output().unwrap();
        if !linked.status.success() {
            skip(Lack::Machine, format!("{} cannot be linked to", own.display()));
            return None;
        }
    }
    Some((Some(folder), place))
}
