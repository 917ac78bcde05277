//! A change as it is read and judged before it is let out.

use super::*;

/// Commits on top of the base, by a person on a side branch, each by a shell script.
async fn change(house: &House, scripts: &[&str]) -> Sha {
    let person = house.folder.path().join("person");
    git(&person, &["checkout", "--quiet", "-B", "change", house.base.as_str()]);
    for script in scripts {
        let status = Command::new("sh").args(["-ec", script]).current_dir(&person).status();
        assert!(status.unwrap().success(), "{script}");
        git(&person, &["add", "--all"]);
        git(&person, &["commit", "--quiet", "--allow-empty", "-m", "change"]);
    }
    git(&person, &["push", "--quiet", "--force", &house.remote(), "change"]);
    house.refresh().await;
    sha(&git(&person, &["rev-parse", "HEAD"]))
}

async fn refusal(house: &House, rules: &Rules, scripts: &[&str]) -> Option<Refusal> {
    let head = change(house, scripts).await;
    let (base, rules) = (house.base.clone(), rules.clone());
    let judged =
        house.workspaces.read(REPOSITORY, move |mirror| mirror.refusal(&base, &head, &rules));
    judged.await.unwrap()
}

#[tokio::test]
async fn a_change_is_refused_for_what_any_of_its_commits_does() {
    let house = house().await;
    let rules = Rules {
        protected: vec![".github/**".into(), "*.lock".into()],
        max_files: 3,
        max_bytes: 10_000,
        secrets: vec![SecretString::from("correct-horse-battery")],
    };
    let path = |path: &str| path.to_owned();
    let secret = |path: &str| Some(Refusal::Secret { path: path.to_owned() });
    let base64 = ["printf 'user:correct-horse-battery' | base64 > conf"];
    let token = [
        "printf 'gh''s_0123456789abcdefghijABCDEFGHIJ456789' > t; echo '* -diff' > .gitattributes",
    ];
    let cases: Vec<(&[&str], Option<Refusal>)> = vec![
        (&["echo x > x", "echo y > y"], None),
        (&["true"], Some(Refusal::Nothing)),
        (&["echo x > x", "rm x"], Some(Refusal::Nothing)),
        (
            &[
                "mkdir -p .github/workflows; echo x > .github/workflows/a.yml",
                "git rm -qr .github; echo y > y",
            ],
            Some(Refusal::Workflows(path(".github/workflows/a.yml"))),
        ),
        (&["mkdir .github; echo x > .github/a"], Some(Refusal::ProtectedPath(path(".github/a")))),
        (&["mkdir a; echo x > a/Cargo.LOCK"], Some(Refusal::ProtectedPath(path("a/Cargo.LOCK")))),
        (&["ln -s /etc/passwd link"], Some(Refusal::Symlink(path("link")))),
        (
            &[
                "git init -q sub; git -C sub -c user.name=a -c user.email=a commit -q --allow-empty -m x; git add sub 2>/dev/null",
            ],
            Some(Refusal::Submodule(path("sub"))),
        ),
        (&["rm -rf sub; echo x > .gitmodules"], Some(Refusal::Submodule(path(".gitmodules")))),
        (
            &["for n in 1 2 3 4; do echo $n > f$n; done"],
            Some(Refusal::TooLarge { what: path("4 files, at most 3 are allowed") }),
        ),
        (
            &["head -c 20000 /dev/zero > big", "rm big; echo y > y"],
            Some(Refusal::TooLarge { what: path("more than 10000 bytes of new contents") }),
        ),
        (&base64, secret("conf")),
        (&["echo correct-horse-battery > s", "rm s; echo y > y"], secret("s")),
        (&token, secret("t")),
        (&["echo x > correct-horse-battery"], secret("correct-horse-battery")),
    ];
    for (scripts, expected) in cases {
        assert_eq!(refusal(&house, &rules, scripts).await, expected, "{scripts:?}");
    }
}

#[tokio::test]
async fn a_secret_is_found_in_all_that_a_commit_is_made_of() {
    let house = house().await;
    let secrets = vec![SecretString::from("correct-horse-battery")];
    let rules = Rules { secrets, ..Rules::default() };
    let rewritten = |with: &str| {
        format!(
            "git cat-file commit HEAD | {with} > ../commit; \
             git reset -q --soft $(git hash-object -t commit -w --stdin < ../commit)"
        )
    };
    let message = rewritten("sed '$a correct-horse-battery'");
    let author = rewritten("sed 's/^author [^<]*/author correct-horse-battery /'");
    let committer = rewritten("sed 's/^committer [^<]*/committer correct-horse-battery /'");
    let header = rewritten("sed '0,/^$/s/^$/note correct-horse-battery\\n/'");
    for (script, part) in
        [(message, "message"), (author, "header"), (committer, "header"), (header, "header")]
    {
        let told = refusal(&house, &rules, &["echo y > y", &script]).await;
        let Some(Refusal::Secret { path }) = &told else { panic!("{script}: {told:?}") };
        assert!(path.starts_with(&format!("the {part} of commit ")), "{script}: {path}");
    }
}

#[tokio::test]
async fn a_change_is_read_file_by_file_and_as_text() {
    let house = house().await;
    let head = change(
        &house,
        &["echo four >> README.md; printf '\\000\\001' > bin; ln -s README.md link; \
           echo x > run; chmod +x run"],
    )
    .await;
    let base = house.base.clone();
    let read = house.workspaces.read(REPOSITORY, move |mirror| {
        assert!(mirror.is_ancestor(&base, &head)? && !mirror.is_ancestor(&head, &base)?);
        assert_eq!(mirror.merge_base(&base, &head)?.as_ref(), Some(&base));
        assert_eq!(mirror.file(&head, "run", 10)?.as_deref(), Some(&b"x\n"[..]));
        for absent in [("run", 1), ("link", 100), ("none", 100), ("", 100)] {
            assert_eq!(mirror.file(&head, absent.0, absent.1).ok().flatten(), None, "{absent:?}");
        }
        let changes = mirror.changes(&base, &head)?;
        let text = mirror.diff_text(&base, &head, 10_000)?;
        let cut = mirror.diff_text(&base, &head, 60)?;
        Ok((changes, text, cut))
    });
    let (changes, text, cut) = read.await.unwrap();
    let short: Vec<_> = changes
        .iter()
        .map(|change| {
            let kind = (change.is_binary, change.is_symlink, change.is_submodule);
            (change.path.as_str(), change.old_mode, change.new_mode, change.added, kind)
        })
        .collect();
    let plain = (false, false, false);
    assert_eq!(
        short,
        [
            ("README.md", 0o100_644, 0o100_644, 1, plain),
            ("bin", 0, 0o100_644, 0, (true, false, false)),
            ("link", 0, 0o120_000, 1, (false, true, false)),
            ("run", 0, 0o100_755, 1, plain),
        ]
    );
    assert_eq!(changes[0].size, 19);
    assert!(text.contains("@@ -1,3 +1,4 @@\n one\n two\n three\n+four\n"), "{text}");
    assert!(cut.ends_with("is cut after 60 bytes)\n"), "{cut}");
}

#[tokio::test]
async fn a_workspace_of_two_thousand_files_is_made() {
    let house = house().await;
    let many =
        "for d in $(seq 40); do mkdir d$d; for f in $(seq 50); do echo $d $f > d$d/f$f; done; done";
    let head = change(&house, &[many]).await;
    let start = Instant::now();
    let identity = Identity { name: "b".into(), email: "b".into() };
    let checkout = Checkout { repository: REPOSITORY, base: head, branch: None, identity };
    let workspace = house.workspaces.prepare(&key("many"), &checkout).await.unwrap();
    println!("2,000 files are ready after {:?}", start.elapsed());
    assert_eq!(fs::read_dir(workspace.tree.join("d40")).unwrap().count(), 50);
}
