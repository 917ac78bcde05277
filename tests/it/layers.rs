//! What set-ups brought: made once, changed by nobody, deleted when it is of no use.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use baton::{
    model::{RepositoryId, Timestamp},
    workspace::{Account, Found, LayerKey, Making, Settings, Workspaces},
};
use chrono::TimeDelta;
use tempfile::TempDir;

const HERE: RepositoryId = RepositoryId(7);

fn key(of: u8) -> LayerKey {
    LayerKey::new(&[of; 32])
}

fn workspaces() -> (TempDir, Workspaces) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let account = Account { uid: 65_534, gid: 65_534 };
    let owner = rustix::process::geteuid().is_root().then_some(account);
    let workspaces = Workspaces::new(Settings::new(folder.path().join("data"), owner)).unwrap();
    (folder, workspaces)
}

async fn making(workspaces: &Workspaces, of: u8) -> Making {
    match workspaces.layer_or_making(HERE, &key(of), 1).await.unwrap() {
        Found::Making(making) => making,
        Found::Layer(layer) => panic!("there is one already: {layer:?}"),
    }
}

/// Makes a layer that holds a file of some bytes.
async fn made(workspaces: &Workspaces, of: u8, bytes: usize) {
    let making = making(workspaces, of).await;
    fs::write(making.folders.cache().join("file"), vec![b'x'; bytes]).unwrap();
    drop(making.finish().unwrap());
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_made_once_however_many_want_it() {
    let (_folder, workspaces) = workspaces();
    let makers = Arc::new(AtomicUsize::new(0));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (workspaces, makers) = (workspaces.clone(), Arc::clone(&makers));
        all.spawn(async move {
            let layer = match workspaces.layer_or_making(HERE, &key(1), 1).await.unwrap() {
                Found::Layer(layer) => layer,
                Found::Making(making) => {
                    makers.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    fs::write(making.folders.cache().join("file"), "it").unwrap();
                    making.finish().unwrap()
                }
            };
            fs::read_to_string(layer.folders.cache().join("file")).unwrap()
        });
    }
    assert!(all.join_all().await.iter().all(|text| text == "it"));
    assert_eq!(makers.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_set_up_that_fails_leaves_nothing_and_the_next_begins_anew() {
    let (folder, workspaces) = workspaces();
    let first = making(&workspaces, 1).await;
    fs::write(first.folders.cache().join("half"), "x").unwrap();
    drop(first);
    assert!(workspaces.layer(HERE, &key(1)).unwrap().is_none());
    let second = making(&workspaces, 1).await;
    assert_eq!(fs::read_dir(second.folders.cache()).unwrap().count(), 0);
    // A Baton that is killed does not even throw it away.
    std::mem::forget(second);
    let again = Workspaces::new(Settings::new(folder.path().join("data"), None)).unwrap();
    again.collect_layers(now() - TimeDelta::days(1), u64::MAX).unwrap();
    assert!(again.layer(HERE, &key(1)).unwrap().is_none());
}

#[tokio::test]
async fn a_finished_layer_is_nobodys_to_change_and_a_copy_of_it_is() {
    let (folder, workspaces) = workspaces();
    let making = making(&workspaces, 1).await;
    let cache = making.folders.cache();
    fs::create_dir(cache.join("closed")).unwrap();
    fs::write(cache.join("closed/run"), "x").unwrap();
    fs::set_permissions(cache.join("closed/run"), fs::Permissions::from_mode(0o4777)).unwrap();
    fs::set_permissions(cache.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("/etc/passwd", cache.join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, cache.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let before = fs::metadata("/etc/passwd").unwrap();
    let layer = making.finish().unwrap();
    let cache = layer.folders.cache();
    let seen = |path: &Path| {
        let seen = fs::symlink_metadata(path).unwrap();
        (seen.uid(), seen.mode() & 0o7777)
    };
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(seen(&cache.join("closed")), (me, 0o755));
    assert_eq!(seen(&cache.join("closed/run")), (me, 0o755));
    assert_eq!(fs::read_link(cache.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert!(!cache.join("pipe").exists(), "a pipe would stop whoever copies");
    let after = fs::metadata("/etc/passwd").unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()), "a link was followed");

    let time = cache.join("closed/run").metadata().unwrap().modified().unwrap();
    let copy = Workspaces::copy_layer(&layer.folders, &folder.path().join("copy")).unwrap();
    let run = copy.cache().join("closed/run");
    assert_eq!(run.metadata().unwrap().modified().unwrap(), time);
    fs::write(&run, "spoilt").unwrap();
    assert_eq!(fs::read_to_string(cache.join("closed/run")).unwrap(), "x");
    assert!(copy.cache().join("link").is_symlink());
}

#[tokio::test]
async fn layers_go_by_age_and_by_size_and_never_while_they_are_used() {
    let (_folder, workspaces) = workspaces();
    for of in 1..=3 {
        made(&workspaces, of, 1000).await;
    }
    let used = workspaces.layer(HERE, &key(1)).unwrap().unwrap();
    let kept = |workspaces: &Workspaces| {
        (1..=3).map(|of| workspaces.layer(HERE, &key(of)).unwrap().is_some()).collect::<Vec<_>>()
    };
    let long_ago = now() - TimeDelta::days(1);
    assert_eq!(workspaces.collect_layers(long_ago, 3000).unwrap(), 0);
    assert_eq!(kept(&workspaces), [true; 3]);
    // Looked at in this order, the second is the longest unused of those that nobody uses.
    assert_eq!(workspaces.collect_layers(long_ago, 2000).unwrap(), 1);
    assert_eq!(kept(&workspaces), [true, false, true]);
    assert_eq!(workspaces.collect_layers(now() + TimeDelta::days(1), u64::MAX).unwrap(), 1);
    assert_eq!(kept(&workspaces), [true, false, false]);
    drop(used);
    assert_eq!(workspaces.collect_layers(now() + TimeDelta::days(1), u64::MAX).unwrap(), 1);
    assert_eq!(workspaces.list_layers().unwrap(), []);
}
