//! Many short agents in a row, while agents and Baton itself are killed: nothing of them stays, in each kind
//! of sandbox.
//!
//! The usual tests play some of them. Five hundred:
//! `cargo test --test it -- --ignored --nocapture five_hundred_agents`.

mod row;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{machine::Held, place::Place};
use row::Row;

/// What happens to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it makes its plan.
    Lives,
    /// One of its processes is killed.
    Killed,
    /// Baton is killed while it runs, and started again.
    Orphaned,
}

/// After so many agents a Baton's memory grows no more: until then its threads' arenas do.
const WARM: usize = 20;
/// By so many KiB its memory swings then, as it did over 250 agents: an allocator gives back when it wants.
const SWINGS: u64 = 4096;

/// Plays so many agents; the first few show what Baton holds by itself.
async fn in_a_row(place: Place, agents: usize) {
    let mut row = Row::begin(place).await;
    let mut random = StdRng::seed_from_u64(7);
    for fate in [Fate::Lives, Fate::Killed, Fate::Orphaned, Fate::Lives, Fate::Killed] {
        row.agent(fate, &mut random).await;
    }
    let first = row.held().await;
    let first_sockets = row.sockets();
    // In the last third Baton lives on, so that its memory tells something.
    let mut settled = None;
    for number in 0..agents {
        let calm = number >= agents * 2 / 3;
        if calm && settled.is_none() {
            for _ in 0..WARM.min(agents / 4) {
                row.agent(Fate::Lives, &mut random).await;
            }
            settled = Some(row.held().await);
        }
        let fate = match random.random_range(0..5) {
            0 => Fate::Killed,
            1 if !calm => Fate::Orphaned,
            _ => Fate::Lives,
        };
        row.agent(fate, &mut random).await;
    }
    let last = row.held().await;
    let settled = settled.unwrap_or_else(|| last.clone());
    let [of_agents, of_baton] = row.killed;
    println!(
        "{agents} agents, {of_agents} killed, Baton killed {of_baton} times; memory {} KiB after {} of them, \
         {} KiB at the end; descriptors {:?}",
        settled.memory,
        agents * 2 / 3,
        last.memory,
        last.descriptors
    );
    assert!(of_agents > 0 && of_baton > 0, "nothing was killed");
    if let Place::Containers(_) = &row.place {
        assert!(row.containers() > agents, "the containers were not seen: the test is broken");
    }
    assert_eq!(row.left(), [] as [String; 0]);
    assert_eq!(row.sockets(), first_sockets);
    let more: Vec<_> = last.files.difference(&first.files).collect();
    assert!(more.is_empty(), "files that were not there before: {more:#?}");
    for kind in ["anon_inode", "pidfd", "pid", "mnt", "net", "user"] {
        let count = |held: &Held| held.descriptors.get(kind).copied().unwrap_or(0);
        assert!(count(&last) <= count(&settled), "{kind}: {settled:?} {last:?}");
    }
    let grown = last.memory.saturating_sub(settled.memory);
    assert!(grown < SWINGS, "{grown} KiB more than before");
    let left = row.end().await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_a_row_that_are_killed_now_and_then_leave_nothing() {
    in_a_row(Place::Bubblewrap, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_a_row_that_are_killed_now_and_then_leave_nothing_in_a_container() {
    let Some(place) = Place::containers() else { return };
    in_a_row(place, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes about half an hour"]
async fn five_hundred_agents_in_a_row_leave_nothing() {
    in_a_row(Place::Bubblewrap, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes about an hour"]
async fn five_hundred_agents_in_a_row_leave_nothing_in_a_container() {
    let Some(place) = Place::containers() else { return };
    in_a_row(place, 500).await;
}
