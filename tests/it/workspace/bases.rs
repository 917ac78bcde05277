//! Workspaces that share a checkout of their base, and what becomes of such checkouts.

use std::time::SystemTime;

use baton::{
    model::Keep,
    workspace::{Signature, trailers},
};

use super::*;

/// Sandboxes here, or nothing to show.
async fn laid() -> Option<(House, InSandbox)> {
    let house = house_of(Way::Laid, |_| ()).await;
    let inside = house.sandbox()?;
    assert!(house.workspaces.has_layers());
    Some((house, inside))
}

#[tokio::test]
async fn what_one_agent_does_to_its_files_no_other_sees() {
    let Some((house, inside)) = laid().await else { return };
    let (one, two) = (house.prepare("agent-1").await, house.prepare("agent-2").await);
    assert_eq!(files(&one), files(&two), "they share one checkout");
    let both = tokio::join!(
        inside.agent(
            &one,
            "echo one > README.md; echo x > new; chmod 700 .; git add -A; git commit -qm one; ls"
        ),
        inside.agent(&two, "rm README.md; git status --short; ls"),
    );
    assert_eq!(both, ("README.md\nnew".to_owned(), "D README.md".to_owned()));
    let three = house.prepare("agent-3").await;
    let seen = inside.agent(&three, "git status --short; cat README.md; ls").await;
    assert_eq!(seen, "one\ntwo\nthree\nREADME.md");
    assert_eq!(fs::read_to_string(files(&three).join("README.md")).unwrap(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn an_agent_sees_no_checkout_but_its_own_and_the_machine_no_mount() {
    let Some((house, inside)) = laid().await else { return };
    let workspace = house.prepare("agent-1").await;
    let data = house.folder.path().join("data");
    let script = format!(
        "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo writes /proc/sys; \
         grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status || echo has capabilities; \
         test \"$(id -u)\" = 1000 || echo is not 1000; \
         (cd .. && mount -t tmpfs x tree) 2>/dev/null && echo mounts; \
         ls {0}; ls {0}/workspaces/agent-1; mkdir -p d/e; mv d f; ls f; cat /proc/mounts",
        data.display()
    );
    let seen = inside.agent(&workspace, &script).await;
    let (own, mounts) = seen.split_at(seen.find("\noverlay ").unwrap());
    assert!(own.starts_with("mirrors\nworkspaces\nquarantine.git\ntree\ne"), "{seen}");
    assert_eq!(mounts.matches("\noverlay ").count(), 1, "{seen}");
    let machine = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!machine.contains(&data.display().to_string()), "{machine}");
}

async fn a_change_of_the_same_length_in_the_same_second_is_seen(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    let seen = inside.agent(&workspace, "printf 'ONE\\ntwo\\nthree\\n' > README.md; git status -s");
    assert_eq!(seen.await, "M README.md");
}

async fn commits_say_which_task_and_agent_they_are_of(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let person = house.person_commits("side", "by-person", "x");
    house.refresh().await;
    let signature = Signature {
        identity: house.identity(),
        task: "Baton-Task: 7".into(),
        agents: vec!["Baton-Agent: 11".into(), "Baton-Agent: 12".into()],
    };
    let commit = "echo $RANDOM$$ >> README.md; git commit -qa";
    let cases = [
        (format!("{commit} -m one; {commit} -m two --amend"), None),
        (format!("git merge -q {person} -m merged; {commit} -m 'More\n\nReason: so'"), None),
        (format!("{commit} -m x --author 'Eve <eve@example.test>'"), Some("author")),
        (
            format!("GIT_COMMITTER_NAME=Eve; export GIT_COMMITTER_NAME; {commit} -m x"),
            Some("author"),
        ),
        (format!("git config core.hooksPath /tmp; {commit} -m x"), Some("trailer")),
        (
            format!(
                "git config core.hooksPath /tmp; {commit} -m 'x\n\nBaton-Task: 7\nBaton-Agent: 99'"
            ),
            Some("trailer"),
        ),
    ];
    for (script, refused) in cases {
        let workspace = house.prepare("agent-12").await;
        house.workspaces.sign(&workspace, &trailers(7, 12)).unwrap();
        inside.agent(&workspace, &script).await;
        let head = house.import(&workspace, &inside).await.unwrap().head;
        let (base, person, signature) = (house.base.clone(), person.clone(), signature.clone());
        let found = house.workspaces.read(REPOSITORY, move |mirror| {
            mirror.unsigned(&base, Some(&person), &head, &signature)
        });
        let found = found.await.unwrap().map(|refusal| match refusal {
            Refusal::ForeignAuthor { .. } => "author",
            Refusal::NoTrailer { .. } => "trailer",
            other => panic!("{other:?}"),
        });
        assert_eq!(found, refused, "{script}");
    }
}

async fn a_folder_moves_as_agents_are_told(way: Way) {
    let mut house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    fs::create_dir(house.folder.path().join("person/kept")).unwrap();
    house.base = house.person_commits("side", "kept/file", "of the base\n");
    house.refresh().await;
    let workspace = house.prepare("agent-1").await;
    // The kernel renames no folder of the shared checkout, and git does not copy one.
    let refused = inside.agent(&workspace, "git mv kept moved 2>&1 || true").await;
    let word = "Invalid cross-device link";
    assert_eq!(refused.contains(word), way == Way::Laid, "{refused}");
    let moves = "test -e moved || mv kept moved; git add --all; git mv README.md READ; \
                 git commit -qm moved; git status --short; git show --format= --name-status";
    let moved = "R100\tREADME.md\tREAD\nR100\tkept/file\tmoved/file";
    assert_eq!(inside.agent(&workspace, moves).await, moved);
    let head = house.import(&workspace, &inside).await.unwrap().head;
    let file = format!("{head}:moved/file");
    assert_eq!(git(&house.mirror(), &["show", &file]), "of the base");
}

both_ways! {
    a_change_of_the_same_length_in_the_same_second_is_seen
    a_folder_moves_as_agents_are_told
    commits_say_which_task_and_agent_they_are_of
}

const NOTHING: Keep = Keep { days: 0, bytes: 0, log_days: 0 };

fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(24 * 3600)
}

#[tokio::test]
async fn a_checkout_goes_by_age_or_weight_but_never_while_it_is_shown() {
    let Some((mut house, inside)) = laid().await else { return };
    let first = house.prepare("agent-1").await;
    house.base = house.person_commits("side", "side.txt", "x");
    house.refresh().await;
    house.prepare("agent-2").await;
    house.workspaces.remove(&key("agent-2")).unwrap();
    let bases = house.workspaces.list_bases().unwrap();
    let users: Vec<_> = bases.iter().map(|base| base.users.clone()).collect();
    assert_eq!(users, [vec![key("agent-1")], vec![]]);

    // Everything fits and is young: all stays.
    let collected = house.workspaces.collect(&Keep::default(), SystemTime::now()).unwrap();
    assert_eq!(collected.bases, 0);
    let collected = house.workspaces.collect(&NOTHING, tomorrow()).unwrap();
    assert_eq!((collected.bases, collected.bytes), (1, bases[1].bytes));
    assert_eq!(inside.agent(&first, "cat README.md").await, "one\ntwo\nthree");

    house.workspaces.remove(&first.key).unwrap();
    let old = Keep { days: 1, bytes: u64::MAX, ..NOTHING };
    assert_eq!(house.workspaces.collect(&old, SystemTime::now()).unwrap().bases, 0);
    let later = tomorrow() + Duration::from_secs(60);
    assert_eq!(house.workspaces.collect(&old, later).unwrap().bases, 1);
    assert!(house.workspaces.list_bases().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room_first() {
    let Some((mut house, _)) = laid().await else { return };
    for number in 1..=3 {
        house.base = house.person_commits("side", "side.txt", &number.to_string());
        house.refresh().await;
        house.prepare("agent-1").await;
    }
    house.workspaces.remove(&key("agent-1")).unwrap();
    house.workspaces.empty_trash().unwrap();
    let before = house.workspaces.list_bases().unwrap();
    let bytes = before[1].bytes + before[2].bytes;
    house.workspaces.collect(&Keep { days: 9, bytes, ..NOTHING }, SystemTime::now()).unwrap();
    let after = house.workspaces.list_bases().unwrap();
    assert!(after.len() < 3 && before.ends_with(&after), "{after:?}");
    assert!(after.iter().any(|base| base.sha == house.base), "the newest went first");
}
