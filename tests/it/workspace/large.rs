//! Large files of the past stay with the remote, until a commit with them is checked out.

use super::*;

/// Beyond what is always fetched.
const LARGE: usize = 3 << 20;

/// Bytes that nothing packs smaller; the same ones every time.
fn noise(mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    std::iter::repeat_with(next).take(LARGE).collect()
}

/// A remote whose past holds a large file that is another one now.
async fn house_with_a_past(filters: bool) -> (House, Sha, Sha) {
    let house = house().await;
    let allow = if filters { "true" } else { "false" };
    let remote = house.remote();
    git(Path::new(&remote), &["config", "uploadpack.allowFilter", allow]);
    git(Path::new(&remote), &["config", "uploadpack.allowAnySHA1InWant", allow]);
    let person = house.folder.path().join("person");
    let mut commits = Vec::new();
    for seed in [1, 2] {
        fs::write(person.join("film.bin"), noise(seed)).unwrap();
        fs::write(person.join("notes.md"), format!("film {seed}\n")).unwrap();
        git(&person, &["add", "."]);
        git(&person, &["commit", "--quiet", "-m", "a film"]);
        commits.push(sha(&git(&person, &["rev-parse", "HEAD"])));
    }
    git(&person, &["push", "--quiet", &remote, "HEAD:refs/heads/main"]);
    house.refresh().await;
    let [old, new] = commits.try_into().unwrap();
    (house, old, new)
}

fn mebibytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        bytes += if meta.is_dir() { mebibytes(&entry.path()) << 20 } else { meta.len() };
    }
    bytes >> 20
}

async fn begin_at(house: &House, commit: &Sha) -> Workspace {
    house.workspaces.complete(REPOSITORY, commit, &house.remote(), None).await.unwrap();
    let checkout = Checkout {
        repository: REPOSITORY,
        base: commit.clone(),
        branch: None,
        identity: house.identity(),
    };
    house.workspaces.prepare(&key("large"), &checkout).await.unwrap()
}

#[tokio::test]
async fn large_files_are_fetched_for_the_commit_that_is_checked_out_and_no_other() {
    let (house, old, new) = house_with_a_past(true).await;
    let objects = house.mirror().join("objects");
    assert_eq!(mebibytes(&objects), 0);
    for (commit, seed) in [(new, 2), (old, 1)] {
        let workspace = begin_at(&house, &commit).await;
        assert!(fs::read(workspace.tree.join("film.bin")).unwrap() == noise(seed), "another file");
        if seed == 2 {
            assert_eq!(mebibytes(&objects), 3);
        }
        let Some(inside) = house.sandbox() else { return };
        let change = "echo more >> notes.md && git commit -qam 'a note'";
        inside.agent(&workspace, change).await;
        let imported = house.import(&workspace, &inside).await.unwrap();
        assert_eq!(imported.commits, 1);
    }
}

#[tokio::test]
async fn a_change_of_a_large_file_is_shown_once_both_sides_are_there() {
    let (house, old, new) = house_with_a_past(true).await;
    let changed = || {
        let (old, new) = (old.clone(), new.clone());
        house.workspaces.read(REPOSITORY, move |mirror| mirror.diff_text(&old, &new, 10_000))
    };
    assert!(changed().await.is_err(), "a side is missing");
    for commit in [&old, &new] {
        house.workspaces.complete(REPOSITORY, commit, &house.remote(), None).await.unwrap();
    }
    let text = changed().await.unwrap();
    assert!(text.contains("film.bin") && text.contains("+film 2"), "{text}");
}

#[tokio::test]
async fn a_remote_that_leaves_nothing_out_is_mirrored_whole() {
    let (house, old, _) = house_with_a_past(false).await;
    assert_eq!(mebibytes(&house.mirror().join("objects")), 6);
    let workspace = begin_at(&house, &old).await;
    assert!(fs::read(workspace.tree.join("film.bin")).unwrap() == noise(1), "another file");
}
