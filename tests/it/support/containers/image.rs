//! The image of the tests: this machine's own programs, what they are linked with, and toolchains, so that
//! nothing is fetched.
//!
//! It is made once for all tests, in a store beside what cargo builds, and anew when one of its files has
//! changed. Each test's daemon reads it there and writes elsewhere; what nobody uses any more goes when the
//! next one is made.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::{IMAGE, let_go, new_folder, podman};

/// What cases, git, toolchains and the sample's tests call.
const PROGRAMS: &[&str] = &[
    "base64", "bash", "cat", "cc", "chmod", "cp", "curl", "cut", "date", "dd", "dirname", "env",
    "find", "git", "grep", "head", "id", "kill", "ld", "ln", "ls", "mkdir", "mkfifo", "mktemp",
    "mv", "node", "perl", "python3", "readlink", "rev", "rm", "rmdir", "sed", "seq", "setsid",
    "sh", "sleep", "sort", "stat", "tail", "tee", "timeout", "touch", "tr", "true", "uname",
    "unshare", "wc", "xargs",
];

/// What a linker is given for every program.
const LINKED: &[&str] = &[
    "Scrt1.o",
    "crt1.o",
    "crti.o",
    "crtn.o",
    "libc.so",
    "libc_nonshared.a",
    "libdl.a",
    "libm.so",
    "libmvec.so.1",
    "libpthread.a",
    "librt.a",
    "libutil.a",
];

/// The larger part of a compiler's folder, which linking does without.
const LEFT_OUT: &[&str] = &["--exclude=cc1*", "--exclude=lto1", "--exclude=*san*"];

/// Writes the image's files as one archive.
pub fn archive(to: &Path) -> Result<(), String> {
    Content::of_this_machine().archive(to)
}

/// The image in its store, which stays as long as this lives.
pub struct Image {
    pub store: PathBuf,
    _lock: File,
}

impl Image {
    /// Finds it, or makes it.
    pub fn get() -> Result<Self, String> {
        let content = Content::of_this_machine();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PREFIX.to_owned() + &content.key());
        loop {
            let lock = lock_of(&place);
            lock.lock_shared().unwrap();
            if place.join(READY).is_file() {
                return Ok(Self { store: place.join("root"), _lock: lock });
            }
            drop(lock);
            let lock = lock_of(&place);
            lock.lock().unwrap();
            if !place.join(READY).is_file() {
                clear_unused();
                remove(&place);
                content.import(&place)?;
                fs::write(place.join(READY), "").unwrap();
            }
        }
    }
}

/// The folders of images; a hash follows.
const PREFIX: &str = "containers-";
/// The file that makes such a folder complete.
const READY: &str = "ready";

fn lock_of(place: &Path) -> File {
    File::options().create(true).append(true).open(place.with_extension("lock")).unwrap()
}

/// Takes away the images of other files, unless somebody uses them.
fn clear_unused() {
    let folders = fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten();
    let folders = folders.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX) && path.is_dir()
    });
    for folder in folders {
        if lock_of(&folder).try_lock().is_ok() {
            remove(&folder);
            let _ = fs::remove_file(folder.with_extension("lock"));
        }
    }
}

fn remove(place: &Path) {
    let_go(place);
    let _ = fs::remove_dir_all(place);
}

/// Which files of the machine are in the image.
struct Content {
    /// Files at the paths by which they are found, whatever links lead there.
    files: BTreeSet<PathBuf>,
    /// Folders with all that is in them, and links, as they are.
    kept: Vec<PathBuf>,
}

impl Content {
    fn of_this_machine() -> Self {
        let programs: Vec<PathBuf> = PROGRAMS.iter().filter_map(|name| on_path(name)).collect();
        let (python, compiler, npm) = (python(), compiler(), npm());
        let extensions =
            python.iter().flat_map(|folder| shared_objects(&folder.join("lib-dynload")));
        let linker = compiler.iter().flat_map(|folder| {
            ["collect2", "liblto_plugin.so"].map(|name| folder.join(name)).into_iter()
        });
        let linked = programs.iter().cloned().chain(extensions).chain(linker).chain(rust());
        let libraries = libraries(linked.collect());
        let roots = ["/bin", "/lib", "/lib64", "/sbin"].map(PathBuf::from);
        let roots = roots.into_iter().filter(|path| path.is_symlink());
        let wheels = [PathBuf::from("/usr/share/python-wheels")];
        let wheels = wheels.into_iter().filter(|path| path.is_dir());
        let kept: Vec<PathBuf> =
            roots.chain(python).chain(wheels).chain(compiler).chain(npm).collect();
        let shells = ["/bin/bash", "/bin/sh"].map(PathBuf::from);
        let found = programs.into_iter().chain(shells).chain(startup()).chain(libraries);
        let mut files: BTreeSet<PathBuf> = found.filter_map(|path| placed(&path)).collect();
        files.retain(|file| !kept.iter().any(|folder| file.starts_with(folder)));
        files.extend(["/etc", "/tmp", "/home"].map(PathBuf::from));
        Self { files, kept }
    }

    /// Changes with every file.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |path: &Path| {
            let seen = path.metadata().map_or((0, 0), |seen| (seen.len(), seen.mtime()));
            hash.update(format!("{} {seen:?}\n", path.display()));
        };
        self.files.iter().filter(|path| path.is_file()).for_each(|path| add(path));
        let mut folders = self.kept.clone();
        while let Some(path) = folders.pop() {
            add(&path);
            if !path.is_symlink() {
                let inner = fs::read_dir(&path).into_iter().flatten().flatten();
                let mut inner: Vec<PathBuf> = inner.map(|entry| entry.path()).collect();
                inner.sort();
                folders.extend(inner);
            }
        }
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn archive(&self, to: &Path) -> Result<(), String> {
        // Links are followed: but for those, the image has only the paths by which files are found.
        tar(to, &["--create", "--dereference", "--no-recursion"], self.files.iter())?;
        tar(to, &[&["--append"], LEFT_OUT].concat(), self.kept.iter())
    }

    fn import(&self, place: &Path) -> Result<(), String> {
        fs::create_dir_all(place).unwrap();
        let archive = place.join("image.tar");
        self.archive(&archive)?;
        // Only images are in the store: the rest has to have a short path, and goes at once.
        let folder = new_folder();
        let mut import = podman(folder.path(), None);
        import.arg("--root").arg(place.join("root")).args(["import", "--quiet"]);
        let output = import.arg(&archive).arg(IMAGE).output();
        let output = output.map_err(|error| format!("podman cannot be started: {error}"))?;
        let_go(place);
        let _ = fs::remove_file(archive);
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("podman import: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}

fn tar<'a>(
    archive: &Path,
    how: &[&str],
    paths: impl Iterator<Item = &'a PathBuf>,
) -> Result<(), String> {
    let relative = paths.map(|path| path.strip_prefix("/").unwrap_or(path));
    let mut tar = Command::new("tar");
    tar.args(["--directory", "/"]).args(how).arg("--file").arg(archive).args(relative);
    let output = tar.output().map_err(|error| format!("tar cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("tar: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A path past the links of its folders, so that no file has two.
fn placed(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}

pub fn on_path(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    folders.map(|folder| Path::new(folder).join(program)).into_iter().find(|path| path.is_file())
}

/// What a program says in one line; none where it is not there or fails.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

/// The libraries of programs and of what Baton runs inside, as far as they are the machine's.
fn libraries(linked: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut ldd = Command::new("ldd");
    ldd.args(linked).arg(env!("CARGO_BIN_EXE_baton")).args(baton::app::installed_claude());
    let listed = ldd.output().map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let words =
        listed.lines().filter(|line| line.starts_with('\t')).flat_map(str::split_whitespace);
    let own = |word: &&str| word.starts_with("/lib") || word.starts_with("/usr/lib");
    words.filter(own).map(PathBuf::from).collect()
}

/// Python's own modules.
fn python() -> Option<PathBuf> {
    let python = on_path("python3")?.display().to_string();
    let folder = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    said(&python, &["-c", folder]).map(PathBuf::from)
}

fn shared_objects(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "so")).collect()
}

/// npm's link and all packages beside it: it finds its own by the place that the link leads to.
fn npm() -> Vec<PathBuf> {
    let Some(link) = on_path("npm") else { return Vec::new() };
    let program = fs::canonicalize(&link).unwrap_or_default();
    let is_of_packages = |path: &&Path| path.ends_with("node_modules") || path.ends_with("nodejs");
    let packages = program.ancestors().find(is_of_packages).map(Path::to_owned);
    packages.into_iter().chain([link]).collect()
}

/// The folder of the compiler that links what Rust has compiled.
fn compiler() -> Option<PathBuf> {
    let library = said("/usr/bin/cc", &["-print-libgcc-file-name"])?;
    Path::new(&library).parent().map(Path::to_owned)
}

/// What it links to every program; those that a machine has not are needed by none.
fn startup() -> Vec<PathBuf> {
    let named = |name: &&str| said("/usr/bin/cc", &[&format!("-print-file-name={name}")]);
    let found = LINKED.iter().filter_map(named).map(PathBuf::from);
    found.filter(|path| path.is_absolute()).collect()
}

/// Rust's programs, which are shown from outside: their libraries are not.
fn rust() -> Vec<PathBuf> {
    let root = said("rustc", &["--print", "sysroot"]);
    let programs =
        root.map(|root| ["cargo", "rustc"].map(|name| Path::new(&root).join("bin").join(name)));
    programs.into_iter().flatten().collect()
}
