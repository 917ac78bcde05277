//! What this machine lacks, so that a test shows nothing: said, counted, and not accepted where it is expected.
//!
//! `BATON_TEST_STRICT` says that the machine is to have everything (`scripts/test` sets it, a CI does by `CI`).
//! There a lack fails, unless `BATON_TEST_WITHOUT` names it, with commas between several. `BATON_TEST_SKIPPED`
//! names a file in which each test that showed nothing is a line, for the summary at the end.

use std::{fmt, fs, io::Write};

/// What a test may need and not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A daemon that starts containers.
    Container,
    /// Docker's own daemon.
    Docker,
    /// The program that makes namespaces.
    Bubblewrap,
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// A property of machines that some have and none has to: a toolchain, an account, control groups.
    Machine,
}

impl Lack {
    /// As it is named in `BATON_TEST_WITHOUT`.
    fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Docker => "docker",
            Self::Bubblewrap => "bubblewrap",
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Machine => "machine",
        }
    }
}

/// Says that the calling test shows nothing.
///
/// # Panics
/// Where this machine is to have it.
pub fn skip(lack: Lack, why: impl fmt::Display) {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let strict = read("BATON_TEST_STRICT").or_else(|| read("CI")).is_some();
    let without = read("BATON_TEST_WITHOUT").unwrap_or_default();
    let name = lack.name();
    assert!(
        is_accepted(lack, strict, &without),
        "{why}: set up what is missing (scripts/setup test), or run with \
         BATON_TEST_WITHOUT={name} to go without"
    );
    eprintln!("SKIPPED ({name}): {why}, so this test shows nothing");
    if let Some(file) = read("BATON_TEST_SKIPPED") {
        note(&file, name, &why.to_string());
    }
}

fn is_accepted(lack: Lack, strict: bool, without: &str) -> bool {
    lack == Lack::Machine || !strict || without.split(',').any(|name| name.trim() == lack.name())
}

/// One line, in one write, as others append to the same file.
fn note(file: &str, name: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let why = why.lines().next().unwrap_or_default();
    let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{name}\t{test}\t{why}\n").as_bytes()).unwrap();
}

#[test]
fn a_lack_is_accepted_where_nothing_is_expected_or_it_is_named() {
    assert!(is_accepted(Lack::Container, false, ""));
    assert!(!is_accepted(Lack::Container, true, ""));
    assert!(!is_accepted(Lack::Container, true, "claude,containers"));
    assert!(is_accepted(Lack::Container, true, "claude, container"));
    assert!(is_accepted(Lack::Machine, true, ""), "no machine has everything");
}

#[test]
fn a_test_that_showed_nothing_is_a_line_for_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("skipped").display().to_string();
    note(&file, "container", "no daemon\nwith details");
    note(&file, "go", "it is there");
    let noted = fs::read_to_string(file).unwrap();
    let test = "support::absent::a_test_that_showed_nothing_is_a_line_for_the_summary";
    assert_eq!(noted, format!("container\t{test}\tno daemon\ngo\t{test}\tit is there\n"));
}
