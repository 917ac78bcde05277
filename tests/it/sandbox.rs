//! One suite for every kind of sandbox: what comes out, what cannot be seen from inside, and that nothing is
//! left behind. The cases run for real on each kind that this machine has; one that it has not is told.
//!
//! - `house`     – what one case has
//! - `streams`   – input, output, environment, and how a command ended
//! - `endings`   – stopping, killing, and what is left
//! - `fences`    – what must not be seen or done from inside
//! - `limits`    – what must not be used up
//! - `bubblewrap`, `container` – what only one kind has
//! - `surviving` – containers that outlive the Baton that started them
//!
//! Cases are of two sorts. A *manner* holds in every kind. A *fence* gives what got through; on the bare
//! machine something has to, which shows that the case can fail.

mod bubblewrap;
mod container;
mod endings;
mod fences;
pub mod house;
mod limits;
mod streams;
mod surviving;
mod usage;

use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

use crate::support::containers::Daemon as _;
use baton::sandbox::Kind;
use house::House;
use tokio::{sync::Semaphore, task::JoinSet};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Manner = for<'a> fn(&'a House) -> Boxed<'a, ()>;
type Fence = for<'a> fn(&'a House) -> Boxed<'a, Vec<String>>;

/// The cases of a sort, with their names.
macro_rules! cases {
    ($($case:path),* $(,)?) => { &[$((stringify!($case), |house| Box::pin($case(house)))),*] };
}

const MANNERS: &[(&str, Manner)] = cases![
    streams::exit_codes_and_signals_come_out,
    streams::the_environment_is_what_the_spec_names_and_nothing_else,
    streams::no_command_line_on_the_machine_shows_the_environment,
    streams::ten_megabytes_in_one_line_and_broken_text_pass_unchanged_and_in_order,
    streams::both_outputs_stay_apart_and_each_in_its_order,
    streams::a_flood_of_complaints_is_cut_and_holds_nothing_up,
    streams::many_commands_at_once_keep_their_own_streams,
    streams::a_spec_that_cannot_be_honoured_is_refused_before_anything_starts,
    endings::what_ignores_signals_and_left_the_session_dies_when_it_is_killed_dropped_or_done,
    endings::an_interrupt_reaches_the_whole_pipeline_and_the_command_may_end_in_its_own_way,
    endings::what_takes_no_notice_of_an_interrupt_is_killed_in_the_second_step,
    endings::the_bridge_is_closed_to_its_command,
    endings::starts_in_a_row_answer_and_their_time_is_told,
    usage::what_processes_take_is_seen_while_they_run_and_kept_when_they_have_ended,
    usage::what_a_killed_process_took_is_kept,
    crate::gateway::within::only_model_calls_pass_from_within,
    crate::gateway::within::only_the_tools_that_are_named_pass_from_within,
    fences::the_gateway_and_the_exit_are_reached_through_their_sockets_by_many_at_once,
    fences::processes_of_others_cannot_be_seen,
    fences::a_folder_is_shown_inside_a_read_only_one_that_does_not_have_it,
    limits::a_process_that_takes_too_much_memory_time_or_disk_is_stopped,
];

const FENCES: &[(&str, Fence)] = cases![
    fences::files_of_the_machine_cannot_be_seen,
    fences::sockets_of_the_machine_cannot_be_seen,
    fences::devices_of_the_machine_cannot_be_seen,
    fences::mirror_hooks_and_configuration_cannot_be_written,
    fences::nothing_but_its_own_folders_can_be_written,
    fences::what_one_leaves_in_scratch_folders_no_other_finds,
    fences::a_server_on_the_machine_is_out_of_reach,
    fences::there_is_no_way_to_any_address_not_that_of_metadata_and_no_name_is_resolved,
    fences::nothing_is_privileged_and_nothing_can_become_so,
    limits::a_fork_bomb_has_an_end,
    limits::scratch_folders_have_an_end,
];

/// How many cases are at work at the same time, on a machine with two cores.
const AT_ONCE: usize = 3;

/// Runs every case in one kind, and names all that failed.
async fn conform(house: House) {
    let kind = house.kind();
    let house = Arc::new(house);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let manners = MANNERS.iter().map(|(name, case)| (*name, Case::Manner(*case)));
    let fences = FENCES.iter().map(|(name, case)| (*name, Case::Fence(*case)));
    for (name, case) in manners.chain(fences) {
        let (house, places) = (Arc::clone(&house), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let begun = Instant::now();
            let work = tokio::spawn(async move { case.run(&house).await });
            // What panicked has said why by now.
            let ended = work.await.unwrap_or_else(|_| Err("see its panic".to_owned()));
            println!("{kind}: {name}, {:?}", begun.elapsed());
            ended.map_err(|why| (name, why))
        });
    }
    let failed: Vec<_> = running.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "in {kind}: {failed:#?}");
    println!("{kind}: {} cases", MANNERS.len() + FENCES.len());
    if let Some(podman) = &house.podman {
        assert_eq!(podman.containers(), [""; 0], "left behind");
    }
    if let Some(docker) = &house.docker {
        assert_eq!(docker.containers(), [""; 0], "left behind");
    }
}

enum Case {
    Manner(Manner),
    Fence(Fence),
}

impl Case {
    async fn run(self, house: &House) -> Result<(), String> {
        match self {
            Self::Manner(case) => case(house).await,
            Self::Fence(case) => {
                let through = case(house).await;
                match house.kind() {
                    Kind::Bubblewrap | Kind::Container if !through.is_empty() => {
                        return Err(format!("got through: {through:?}"));
                    }
                    Kind::Host if through.is_empty() => {
                        return Err("nothing got through on the bare machine: the case is broken"
                            .to_owned());
                    }
                    Kind::Bubblewrap | Kind::Container | Kind::Host => {}
                }
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_in_bubblewrap() {
    if let Some(house) = house::bubblewrap() {
        conform(house).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_in_a_container() {
    if let Some(house) = house::containers() {
        conform(house).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_in_a_container_of_docker() {
    if let Some(house) = house::containers_of_docker() {
        conform(house).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manner_holds_on_the_bare_machine_and_no_fence_does() {
    conform(house::bare_machine()).await;
}
