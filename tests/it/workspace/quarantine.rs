//! What an agent may do in its workspace, and what of it comes out.

use super::*;

both_ways! {
    what_an_agent_commits_and_leaves_uncommitted_comes_out_under_its_identity
    the_mirror_is_read_only_for_the_agent_and_a_workspace_belongs_to_it
    what_a_hostile_agent_plants_is_never_run_on_the_host
    another_repositorys_content_cannot_be_had_by_naming_it
    a_pipe_in_the_place_of_an_object_ends_in_time_and_leaves_no_process
    a_history_that_does_not_begin_at_the_base_is_refused
    preparing_again_starts_afresh_and_removing_leaves_nothing
}

async fn what_an_agent_commits_and_leaves_uncommitted_comes_out_under_its_identity(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    let printed = inside
        .agent(
            &workspace,
            "git branch --show-current; echo four >> README.md; git commit -qam 'Adds four'; \
             mkdir new; echo new > new/file; git stash -qu; git stash pop -q > /dev/null; git tag t; git status -s",
        )
        .await;
    assert_eq!(printed, "baton/17-fix\n?? new/");
    let import = Import { commit_leftovers: Some("Leftovers of 17".into()) };
    let imported = house.workspaces.import(&workspace, &inside, &import).await.unwrap();
    assert_eq!((imported.commits, imported.reference.as_str()), (2, "refs/baton/agents/agent-1"));
    let at = git(&house.mirror(), &["rev-parse", &imported.reference]);
    assert_eq!(at, imported.head.as_str());
    let (base, head) = (house.base.clone(), imported.head.clone());
    let commits = house.workspaces.read(REPOSITORY, move |mirror| mirror.commits(&base, &head));
    let commits = commits.await.unwrap();
    let messages: Vec<_> = commits.iter().map(|commit| commit.message.trim()).collect();
    assert_eq!(messages, ["Leftovers of 17", "Adds four"]);
    assert_eq!(commits[0].author, "Baton \"the\\bot\" B");
    assert_eq!(commits[1].email, "1+b[bot]@example.test");
    house.assert_clean();

    // Without anything new the base comes back, and the same again is fine.
    let untouched = house.prepare("agent-2").await;
    let imported = house.import(&untouched, &inside).await.unwrap();
    assert_eq!((imported.head, imported.commits), (house.base.clone(), 0));
    house.assert_clean();
}

async fn the_mirror_is_read_only_for_the_agent_and_a_workspace_belongs_to_it(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    if let Some(Account { uid, .. }) = owner() {
        assert_eq!(fs::metadata(files(&workspace).join("README.md")).unwrap().uid(), uid);
        assert_eq!(fs::metadata(house.mirror().join("objects")).unwrap().uid(), 0);
    }
    let script = format!(
        "touch {0}/objects/x 2>/dev/null && echo wrote; ls {0}; ls {1}; git gc -q; git log --oneline | wc -l",
        house.mirror().display(),
        house.mirror().parent().unwrap().display()
    );
    assert_eq!(inside.agent(&workspace, &script).await, "objects\n17.git\n1");
    house.assert_clean();
}

async fn what_a_hostile_agent_plants_is_never_run_on_the_host(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    // Visible on the host only: the planted program tells where it ran.
    let host_only = house.folder.path().join("host-only");
    fs::write(&host_only, "x").unwrap();
    let script = r#"
        quarantine=$(git rev-parse --git-common-dir)
        printf '#!/bin/sh\ntest -e HOST && touch "%s/ran-on-host"\ntouch "%s/ran"\nexit 1\n' \
            "$quarantine" "$quarantine" > "$quarantine/evil"
        chmod +x "$quarantine/evil"; mkdir -p "$quarantine/hooks"
        for hook in pre-commit post-checkout post-rewrite reference-transaction pre-push; do
          printf '#!/bin/sh\n%s/evil || true\n' "$quarantine" > "$quarantine/hooks/$hook"
          chmod +x "$quarantine/hooks/$hook"; done
        git config core.hooksPath "$quarantine/hooks"
        git config core.fsmonitor "$quarantine/evil"; git config core.pager "$quarantine/evil"
        git config filter.x.clean "$quarantine/evil"; git config filter.x.smudge "$quarantine/evil"
        git config diff.external "$quarantine/evil"; git config core.sshCommand "$quarantine/evil"
        echo '* filter=x diff=x' > .gitattributes
        ln -s /etc/shadow link; echo change > change; git add --all; git commit -qm 'evil' || true
        cp -r "$quarantine" own.git; rm .git; echo "gitdir: $PWD/own.git/worktrees/tree" > .git
    "#;
    let script = script.replace("HOST", &host_only.display().to_string());
    inside.agent(&workspace, &script).await;
    let imported = house.import(&workspace, &inside).await;
    assert!(workspace.quarantine.join("ran").exists(), "nothing was planted: the test is broken");

    // A second workspace of what it committed, a refresh and a push run nothing either.
    let imported = imported.unwrap();
    let identity = Identity { name: "b".into(), email: "b".into() };
    let base = imported.head.clone();
    let checkout = Checkout { repository: REPOSITORY, base, branch: None, identity };
    let next = house.workspaces.prepare(&key("next"), &checkout).await.unwrap();
    assert!(fs::symlink_metadata(files(&next).join("link")).unwrap().is_symlink());
    let push = house.push("evil", &imported.head, None);
    house.workspaces.push(&push, None).await.unwrap();
    house.refresh().await;
    house.workspaces.remove(&workspace.key).unwrap();
    for folder in ["data", "person", "remote.git"] {
        let found = Command::new("find")
            .arg(house.folder.path().join(folder))
            .args(["-name", "ran-on-host"])
            .output()
            .unwrap();
        assert!(found.stdout.is_empty(), "{found:?}");
    }
    house.assert_clean();
}

async fn another_repositorys_content_cannot_be_had_by_naming_it(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let other = house.folder.path().join("data/mirrors/18.git");
    git(house.folder.path(), &["init", "--quiet", "--bare", "data/mirrors/18.git"]);
    fs::write(house.folder.path().join("secret"), "of another repository\n").unwrap();
    let secret = house.folder.path().join("secret");
    let blob = git(&other, &["hash-object", "-w", secret.to_str().unwrap()]);
    let workspace = house.prepare("agent-1").await;
    let plant = format!(
        "echo {}/objects >> $(git rev-parse --git-common-dir)/objects/info/alternates; \
         git update-index --add --cacheinfo 100644,{blob},stolen; \
         git commit-tree -m stolen -p HEAD $(git write-tree --missing-ok) > commit; \
         git update-ref HEAD $(cat commit); cat commit; rm commit",
        other.display()
    );
    let head = inside.agent(&workspace, &plant).await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Inside(_)), "{error}");

    // The agent may as well pack by itself, and leave the missing content out.
    let pack = format!(
        "echo {head}; (echo {head}; git rev-parse {head}^{{tree}}) | git pack-objects -q --stdout"
    );
    let running = inside
        .0
        .start(inside.spec(&workspace, ["sh", "-c", &pack].map(str::to_owned).to_vec()))
        .await;
    let printed = running.unwrap().finish(1 << 20).await.stdout;
    assert!(printed.len() > 100);
    let error = house.import(&workspace, &Printing(printed)).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Hostile(_)), "{error}");
    let missing = house.workspaces.read(REPOSITORY, move |mirror| mirror.require(&sha(&head)));
    assert!(matches!(missing.await, Err(WorkspaceError::Missing(_))));
    house.assert_clean();
}

async fn a_pipe_in_the_place_of_an_object_ends_in_time_and_leaves_no_process(way: Way) {
    let house = house_of(way, |settings| settings.import_timeout = Duration::from_secs(2)).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    inside
        .agent(
            &workspace,
            "echo x > x; git add x; git commit -qm x; cd $(git rev-parse --git-common-dir)/objects; \
             for object in ??/*; do rm -f $object; mkfifo $object; done",
        )
        .await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooLarge(_)), "{error}");
    let tree = workspace.tree.display().to_string();
    let start = Instant::now();
    while processes_that_name(&tree) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "a process is left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.workspaces.remove(&workspace.key).unwrap();
    house.assert_clean();
}

pub(super) fn processes_that_name(text: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

#[tokio::test]
async fn a_pack_that_is_too_large_or_broken_is_refused_and_leaves_nothing() {
    let house = house_with(|settings| settings.max_pack_bytes = 50_000).await;
    let Some(inside) = house.sandbox() else { return };
    let before = house.packs();
    let workspace = house.prepare("agent-1").await;
    inside
        .agent(&workspace, "head -c 200000 /dev/urandom > big; git add big; git commit -qm big")
        .await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooLarge(_)), "{error}");

    let line = |rest: &[u8]| [&[b'a'; 40][..], b"\n", rest].concat();
    for bytes in [line(b""), line(b"PACK nonsense"), b"no commit".to_vec(), vec![]] {
        let error = house.import(&workspace, &Printing(bytes)).await.unwrap_err();
        assert!(matches!(error, WorkspaceError::Hostile(_)), "{error}");
    }
    assert_eq!(house.packs(), before);
    house.assert_clean();
}

async fn a_history_that_does_not_begin_at_the_base_is_refused(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    inside.agent(&workspace, "git checkout -q --orphan new; git commit -qm new").await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(error.to_string().contains("does not descend"), "{error}");
    house.assert_clean();
}

async fn preparing_again_starts_afresh_and_removing_leaves_nothing(way: Way) {
    let house = house_of(way, |_| ()).await;
    let workspace = house.prepare("agent-1").await;
    fs::write(written(&workspace).join("old"), "x").unwrap();
    let closed = written(&workspace).join("closed/in");
    fs::create_dir_all(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let again = house.prepare("agent-1").await;
    assert_eq!(again, workspace);
    assert!(!written(&again).join("old").exists());
    house.prepare("agent-2").await;
    assert_eq!(house.workspaces.list().unwrap(), [key("agent-1"), key("agent-2")]);
    let base = house.base.clone();
    assert_eq!(
        house.workspaces.existing(&again.key, REPOSITORY, base.clone()),
        Some(again.clone())
    );
    for name in ["agent-1", "agent-2", "agent-1", "never-there"] {
        house.workspaces.remove(&key(name)).unwrap();
    }
    assert!(house.workspaces.list().unwrap().is_empty());
    assert_eq!(house.workspaces.existing(&again.key, REPOSITORY, base), None);
    house.workspaces.empty_trash().unwrap();
    let trash = fs::read_dir(house.folder.path().join("data/trash")).unwrap();
    assert_eq!(trash.count(), 0);
}
