//! Mirrors on the disk: which there are, and that one in use is not taken away.

use super::*;

#[tokio::test]
async fn a_mirror_that_somebody_holds_is_left_alone_and_one_that_went_is_fetched_again() {
    let house = house().await;
    let kept = house.workspaces.list_mirrors().unwrap();
    assert_eq!(kept.iter().map(|mirror| mirror.repository).collect::<Vec<_>>(), [REPOSITORY]);
    assert!(kept[0].bytes > 0);
    let held = house.workspaces.hold_mirror(REPOSITORY).unwrap().unwrap();
    assert!(house.workspaces.hold_mirror(REPOSITORY).unwrap().is_none(), "held twice");
    drop(held);
    // So does a process beside this one.
    let place = house.mirror().with_extension("lock");
    let lock = fs::File::options().append(true).open(place).unwrap();
    lock.lock().unwrap();
    assert!(house.workspaces.hold_mirror(REPOSITORY).unwrap().is_none(), "held beside another");
    drop(lock);
    assert_eq!(house.workspaces.list_mirrors().unwrap()[0].used, kept[0].used, "looking is no use");

    house.workspaces.hold_mirror(REPOSITORY).unwrap().unwrap().forget().unwrap();
    assert!(house.workspaces.list_mirrors().unwrap().is_empty());
    house.refresh().await;
    assert_eq!(house.workspaces.list_mirrors().unwrap().len(), 1);
    house.prepare("agent-1").await;
}
