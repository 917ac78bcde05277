//! Bare repositories, read and changed by the git program in a clean environment.
//!
//! Every function is one or a few short runs of git; they block, a few milliseconds each. Failure
//! to run git at all, or an answer that cannot be read, is an `io::Error`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::model::{PushRule, Time};

/// A file to commit: path, content, whether it is executable.
pub type File<'a> = (&'a str, &'a [u8], bool);

/// The tree without files, which every repository knows.
pub(crate) const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Refuses what the rules file beside it lists, and workflow files without the permission.
const UPDATE_HOOK: &str = include_str!("update-hook.sh");

/// What a run of git gave.
pub(crate) struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Ran {
    /// The output without its line end, if git succeeded.
    fn text(self) -> io::Result<String> {
        if self.code != 0 {
            return Err(io::Error::other(String::from_utf8_lossy(&self.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&self.stdout).trim_end().to_owned())
    }
}

/// Who a commit is by, and when.
pub(crate) struct Signature {
    pub name: String,
    pub email: String,
    pub at: Time,
}

/// A git command in the repository with nothing of this process's environment but the path.
pub(crate) fn command(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().current_dir(repository);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("HOME", "")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    command
}

/// Runs a prepared command, feeding it `input`.
pub(crate) fn run(mut command: Command, input: &[u8]) -> io::Result<Ran> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("git has no input"))?;
    let output = std::thread::scope(|scope| {
        // A command may stop reading early (a refused push): its exit code tells, not the pipe.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output()
    })?;
    let code = output.status.code().unwrap_or(-1);
    Ok(Ran { code, stdout: output.stdout, stderr: output.stderr })
}

fn git(repository: &Path, arguments: &[&str]) -> io::Result<Ran> {
    let mut command = command(repository);
    command.args(arguments);
    run(command, &[])
}

/// Makes a bare repository that takes pushes over HTTP.
pub(crate) fn init(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    git(path, &["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "."])?
        .text()?;
    let config = "[http]\n\treceivepack = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n[receive]\n\tautogc = false\n[gc]\n\tauto = 0\n";
    let mut file = std::fs::OpenOptions::new().append(true).open(path.join("config"))?;
    file.write_all(config.as_bytes())?;
    install_hook(path)
}

fn install_hook(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let hook = path.join("hooks").join("update");
    std::fs::create_dir_all(path.join("hooks"))?;
    std::fs::write(&hook, UPDATE_HOOK)?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))
}

/// Points `main` at a copy of the commit that another repository of this machine is on.
pub(crate) fn copy_head(path: &Path, source: &Path) -> io::Result<()> {
    // Who named the folder has decided that it may be read, whoever owns it.
    let pack = "git -c safe.directory=* upload-pack";
    let source = source.to_string_lossy();
    let arguments = ["fetch", "--quiet", "--no-tags", "--upload-pack", pack, "--", &source];
    git(path, &[&arguments[..], &["+HEAD:refs/heads/main"]].concat())?.text().map(drop)
}

/// Points every branch at a copy of the one that another repository of this stand-in has.
pub(crate) fn copy_branches(path: &Path, source: &Path) -> io::Result<()> {
    let source = source.to_string_lossy();
    let arguments = ["fetch", "--quiet", "--no-tags", "--", &source, "+refs/heads/*:refs/heads/*"];
    git(path, &arguments)?.text().map(drop)
}

/// Takes a commit over from another repository of this stand-in.
pub(crate) fn copy_commit(path: &Path, source: &Path, sha: &str) -> io::Result<()> {
    let source = source.to_string_lossy();
    let arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", &source, sha];
    git(path, &arguments)?.text().map(drop)
}

/// All refs with the object each names.
pub(crate) fn refs(path: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = git(path, &["for-each-ref", "--format=%(refname) %(objectname)"])?.text()?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, sha)| (name.to_owned(), sha.to_owned()))
        .collect())
}

/// Commits files onto `parent` and points `branch` at the commit, whatever it pointed at.
pub(crate) fn commit_files(
    path: &Path,
    branch: &str,
    parent: Option<&str>,
    signature: &Signature,
    message: &str,
    files: &[File<'_>],
) -> io::Result<()> {
    let mut stream = Vec::new();
    writeln!(stream, "commit refs/heads/{branch}")?;
    writeln!(
        stream,
        "committer {} <{}> {} +0000",
        signature.name,
        signature.email,
        signature.at.timestamp()
    )?;
    write_data(&mut stream, message.as_bytes())?;
    if let Some(parent) = parent {
        writeln!(stream, "from {parent}")?;
    }
    for (name, bytes, executable) in files {
        let mode = if *executable { "100755" } else { "100644" };
        writeln!(stream, "M {mode} inline {name}")?;
        write_data(&mut stream, bytes)?;
    }
    stream.extend_from_slice(b"done\n");
    let mut command = command(path);
    command.args(["fast-import", "--quiet", "--done", "--force"]);
    run(command, &stream)?.text().map(drop)
}

fn write_data(stream: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    writeln!(stream, "data {}", bytes.len())?;
    stream.extend_from_slice(bytes);
    stream.push(b'\n');
    Ok(())
}

/// Points a ref at a commit, or removes it.
pub(crate) fn set_ref(path: &Path, reference: &str, sha: Option<&str>) -> io::Result<()> {
    let ran = match sha {
        Some(sha) => git(path, &["update-ref", reference, sha])?,
        None => git(path, &["update-ref", "-d", reference])?,
    };
    ran.text().map(drop)
}

/// The commit a revision names, if there is one.
pub(crate) fn resolve(path: &Path, revision: &str) -> io::Result<Option<String>> {
    let wanted = format!("{revision}^{{commit}}");
    let ran = git(path, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
    Ok((ran.code == 0).then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned()))
}

/// Commits reachable from `head` and not from `base`, oldest first.
pub(crate) fn commits_between(path: &Path, base: &str, head: &str) -> io::Result<Vec<String>> {
    let range = format!("{base}..{head}");
    let text = git(path, &["rev-list", "--reverse", "--topo-order", &range])?.text()?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Whether `ancestor` is reachable from `descendant`.
pub(crate) fn is_ancestor(path: &Path, ancestor: &str, descendant: &str) -> io::Result<bool> {
    Ok(git(path, &["merge-base", "--is-ancestor", ancestor, descendant])?.code == 0)
}

/// The merge base of two commits.
pub(crate) fn merge_base(path: &Path, one: &str, other: &str) -> io::Result<Option<String>> {
    let ran = git(path, &["merge-base", one, other])?;
    Ok((ran.code == 0).then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned()))
}

/// One commit as git knows it.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub sha: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub author_name: String,
    pub author_email: String,
    pub authored_at: String,
    pub message: String,
}

/// Reads a commit.
pub(crate) fn commit(path: &Path, sha: &str) -> io::Result<Commit> {
    let format = "--format=%H%n%T%n%P%n%an%n%ae%n%aI%n%B";
    let text = git(path, &["show", "-s", format, sha])?.text()?;
    let mut parts = text.splitn(7, '\n').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Ok(Commit {
        sha: next(),
        tree: next(),
        parents: next().split_whitespace().map(str::to_owned).collect(),
        author_name: next(),
        author_email: next(),
        authored_at: next(),
        message: next(),
    })
}

/// The unified diff between two trees, three lines of context.
pub(crate) fn diff(path: &Path, from: &str, to: &str) -> io::Result<String> {
    git(path, &["diff", "--no-color", "--no-ext-diff", "-M", from, to])?.text()
}

/// The tree of a clean merge of two commits, or `None` when they conflict.
pub(crate) fn merge_tree(
    path: &Path,
    base: Option<&str>,
    ours: &str,
    theirs: &str,
) -> io::Result<Option<String>> {
    let merge_base = base.map(|sha| format!("--merge-base={sha}"));
    let mut arguments = vec!["merge-tree", "--write-tree"];
    arguments.extend(merge_base.as_deref());
    arguments.extend([ours, theirs]);
    let ran = git(path, &arguments)?;
    match ran.code {
        0 => ran.text().map(Some),
        1 => Ok(None),
        _ => ran.text().map(Some),
    }
}

/// Writes a commit object and gives its id.
pub(crate) fn commit_tree(
    path: &Path,
    tree: &str,
    parents: &[&str],
    signature: &Signature,
    message: &str,
) -> io::Result<String> {
    let mut command = command(path);
    let date = format!("{} +0000", signature.at.timestamp());
    command.args(["commit-tree", tree]);
    for parent in parents {
        command.args(["-p", parent]);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), &signature.name);
        command.env(format!("GIT_{role}_EMAIL"), &signature.email);
        command.env(format!("GIT_{role}_DATE"), &date);
    }
    run(command, message.as_bytes())?.text()
}

/// One entry of a tree.
pub(crate) struct Entry {
    pub mode: String,
    pub kind: String,
    pub sha: String,
    pub size: u64,
    pub path: String,
}

/// The entry at a path (`""` is the root's children), or the children of a folder with `children`.
pub(crate) fn entries(
    path: &Path,
    commit: &str,
    at: &str,
    children: bool,
) -> io::Result<Vec<Entry>> {
    let inside = format!("{at}/");
    let mut arguments = vec!["ls-tree", "-z", "--long", commit];
    match (at.is_empty(), children) {
        (true, _) => {}
        (false, true) => arguments.extend(["--", &inside]),
        (false, false) => arguments.extend(["--", at]),
    }
    let text = git(path, &arguments)?.text()?;
    Ok(text.split('\0').filter_map(entry).collect())
}

fn entry(line: &str) -> Option<Entry> {
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split_whitespace().map(str::to_owned);
    Some(Entry {
        mode: facts.next()?,
        kind: facts.next()?,
        sha: facts.next()?,
        size: facts.next()?.parse().unwrap_or(0),
        path: path.to_owned(),
    })
}

/// The bytes of a blob.
pub(crate) fn blob(path: &Path, sha: &str) -> io::Result<Vec<u8>> {
    let ran = git(path, &["cat-file", "blob", sha])?;
    if ran.code == 0 { Ok(ran.stdout) } else { ran.text().map(String::into_bytes) }
}

/// Adds a rule the update hook obeys.
pub(crate) fn add_push_rule(path: &Path, rule: &PushRule) -> io::Result<()> {
    let mut rules =
        std::fs::OpenOptions::new().create(true).append(true).open(path.join("push-rules"))?;
    writeln!(rules, "{}\t{}", rule.pattern, rule.reason.replace('\n', " "))
}
