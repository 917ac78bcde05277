//! Starts one sandbox, looks around in it, and says what an operator has to do if it does not hold.
//!
//! The look around is the same for every kind; the words for what is missing here are bubblewrap's.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{Bubblewrap, Exit, ResourceLimits, Sandbox, SandboxError, Spec, Taken};

/// Prints one line for everything that should not be possible. Opening for appending writes nothing,
/// so a sandbox that leaks does no harm here.
const LOOK_AROUND: &str = r#"
test "$(id -u)" = "$2" || echo "runs as uid $(id -u)"
(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo "can write /proc/sys"
(: >> /usr/baton-was-here) 2>/dev/null && echo "can write /usr"
test -e "$1" && echo "sees files of the machine"
test -r /etc/shadow && echo "reads /etc/shadow"
test "$(tail -n +3 /proc/net/dev | grep -vc '^ *lo:')" = 0 || echo "has a network interface"
grep -q '^CapBnd:[[:space:]]*0*$' /proc/self/status || echo "has capabilities"
grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || echo "can gain privileges"
echo done
"#;

/// The self-test of bubblewrap.
pub(super) async fn run(bubblewrap: &Bubblewrap) -> Result<(), SandboxError> {
    let settings = bubblewrap.settings();
    if bubblewrap.outer_uid() == 0 || settings.owner.gid == 0 {
        return Err(SandboxError::Leaky { what: "its account is root".to_owned() });
    }
    for path in [&settings.bridge, &settings.state] {
        reachable(path)?;
    }
    let spec = look_around(&settings.state, bubblewrap.inner_uid());
    let spec = Spec { limits: ResourceLimits::none(), ..spec };
    let running = bubblewrap.start(spec).await?;
    let seen = running.reference().split(':').next().map(|pid| format!("/proc/{pid}"));
    let uid = seen.and_then(|process| fs::metadata(process).ok()).map(|meta| meta.uid());
    if uid.is_some_and(|uid| uid == 0) {
        return Err(SandboxError::Leaky { what: "its process belongs to root".to_owned() });
    }
    judge(&running.finish(64 << 10).await, explain)
}

/// The command that looks around; the state folder has a file that must not be seen.
pub(super) fn look_around(state: &Path, uid: u32) -> Spec {
    let marker = state.join("etc/passwd");
    let (marker, uid) = (marker.to_string_lossy(), uid.to_string());
    let script = ["/bin/sh", "-c", LOOK_AROUND, "sh", &marker, &uid];
    let mut spec = Spec::new(script.iter().map(ToString::to_string).collect());
    spec.env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    spec
}

/// Judges what it printed; what it did not come to the end of is explained.
pub(super) fn judge(
    taken: &Taken,
    explain: impl FnOnce(Exit, &str) -> SandboxError,
) -> Result<(), SandboxError> {
    let stdout = String::from_utf8_lossy(&taken.stdout);
    let mut lines: Vec<&str> = stdout.lines().collect();
    if lines.pop() != Some("done") {
        return Err(explain(taken.exit, &String::from_utf8_lossy(&taken.stderr)));
    }
    if lines.is_empty() { Ok(()) } else { Err(SandboxError::Leaky { what: lines.join(", ") }) }
}

/// Checks that an account without rights gets to a path.
pub(super) fn reachable(path: &Path) -> Result<(), SandboxError> {
    for part in path.ancestors() {
        let mode = fs::metadata(part)?.mode();
        if mode & 0o001 == 0 {
            return Err(SandboxError::Unavailable {
                problem: format!("{} is closed to the account that agents run as", part.display()),
                remedy: format!(
                    "move what is in it to a folder that every account can pass, or run \
                     `chmod o+x {}`",
                    part.display()
                ),
            });
        }
    }
    Ok(())
}

/// Puts words to a program that could not be started.
pub(super) fn explain_start(error: io::Error) -> SandboxError {
    if error.kind() != io::ErrorKind::NotFound {
        return SandboxError::Start(error);
    }
    SandboxError::Unavailable {
        problem: "bubblewrap (bwrap) is not installed".to_owned(),
        remedy: "install it with `apt-get install bubblewrap` (Debian, Ubuntu), `dnf install \
                 bubblewrap` (Fedora) or `apk add bubblewrap` (Alpine)"
            .to_owned(),
    }
}

/// Puts words to what bubblewrap complained of; its messages are those of version 0.8.
fn explain(exit: Exit, complaint: &str) -> SandboxError {
    let problem = format!("the trial sandbox ended with {exit:?} and said: {}", complaint.trim());
    let about_namespaces = ["namespace", "uid map", "Operation not permitted", "loopback"];
    let remedy = if complaint.contains("Unknown option") {
        "install bubblewrap 0.8 or newer"
    } else if about_namespaces.iter().any(|words| complaint.contains(words)) {
        &allow_namespaces(switch, is_contained())
    } else {
        "see what it says"
    };
    SandboxError::Unavailable { problem, remedy: remedy.to_owned() }
}

/// Gives bubblewrap the profile that Ubuntu 23.10 and newer ask for. The same stands in docs/sandbox.md.
const GIVE_PROFILE: &str = "\
AppArmor forbids unprivileged user namespaces here. Give bubblewrap a profile:
sudo tee /etc/apparmor.d/bwrap >/dev/null <<'END'
abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}
END
sudo apparmor_parser --replace /etc/apparmor.d/bwrap";

/// Whether Baton itself runs in a container.
fn is_contained() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}

/// What a container lacks whose profiles forbid user namespaces. The same stands in compose.yaml.
const LIKE_COMPOSE: &str = "Baton is in a container whose profiles forbid user namespaces: start it as compose.yaml does, with \
     `--security-opt seccomp=docs/seccomp.json --security-opt apparmor=unconfined \
     --security-opt systempaths=unconfined`";

/// What keeps user namespaces from an account without rights, as far as can be told.
fn allow_namespaces(switch: impl Fn(&str) -> Option<u64>, is_contained: bool) -> String {
    let by_apparmor = switch("kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    match (by_apparmor, is_contained) {
        (true, false) => return GIVE_PROFILE.to_owned(),
        // Which of the two it is cannot be told from inside.
        (true, true) => {
            return format!(
                "{LIKE_COMPOSE}. If it is, do this on the machine, not in the container: {GIVE_PROFILE}"
            );
        }
        (false, _) => {}
    }
    if switch("kernel/unprivileged_userns_clone") == Some(0) {
        "run `sysctl kernel.unprivileged_userns_clone=1`".to_owned()
    } else if switch("user/max_user_namespaces") == Some(0) {
        "run `sysctl user.max_user_namespaces=10000`".to_owned()
    } else if is_contained {
        LIKE_COMPOSE.to_owned()
    } else {
        "see that the kernel allows unprivileged user namespaces".to_owned()
    }
}

/// The value of a kernel setting, where there is one.
fn switch(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(stdout: &str, stderr: &str) -> Taken {
        Taken { exit: Exit::Code(0), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn every_line_before_the_last_is_a_leak() {
        assert!(judge(&taken("done\n", ""), explain).is_ok());
        let error =
            judge(&taken("can write /usr\nhas capabilities\ndone\n", ""), explain).unwrap_err();
        assert_eq!(error.to_string(), "sandbox does not hold: can write /usr, has capabilities");
    }

    #[test]
    fn what_keeps_namespaces_away_is_told_with_what_to_install() {
        let apparmor =
            |name: &str| (name == "kernel/apparmor_restrict_unprivileged_userns").then_some(1);
        assert!(allow_namespaces(apparmor, false).contains("profile bwrap /usr/bin/bwrap"));
        let profile = GIVE_PROFILE.split_once(":\n").unwrap().1;
        assert!(
            include_str!("../../docs/sandbox.md").contains(profile),
            "the page has another one"
        );
        let both = allow_namespaces(apparmor, true);
        assert!(both.contains(GIVE_PROFILE) && both.contains("systempaths=unconfined"), "{both}");
        assert!(both.contains("on the machine, not in the container"), "{both}");
        let inside = allow_namespaces(|_| None, true);
        assert!(inside.contains("seccomp=docs/seccomp.json"), "{inside}");
        for option in ["seccomp=docs/seccomp.json", "apparmor=unconfined", "systempaths=unconfined"]
        {
            assert!(include_str!("../../compose.yaml").contains(option) && inside.contains(option));
        }
    }

    #[test]
    fn a_sandbox_that_does_not_start_is_explained() {
        let error =
            judge(&taken("", "bwrap: Unknown option --disable-userns\n"), explain).unwrap_err();
        assert!(error.to_string().ends_with("install bubblewrap 0.8 or newer"), "{error}");
        let missing = explain_start(io::ErrorKind::NotFound.into()).to_string();
        assert!(missing.contains("apt-get install bubblewrap"), "{missing}");
    }
}
