//! Agents and commands that take more of the machine than one may: they end, others do not.

use std::sync::Arc;

use baton::{
    cli::demo::world::{REPOSITORY, Recipe},
    config::Config,
    model::Ceiling,
};
use emulators::models::{Answer, Brain, Crew, Request};
use serde_json::json;

use crate::support::{
    baton::{Story, asking},
    leftovers::processes_of,
};

/// In the title of an issue whose coder takes all it can: planners have no shell.
const GREED: &str = "Take all you can";

/// Ten processes; each holds less than one may, all of them much more.
const TEN_PROCESSES: &str = "for n in 1 2 3 4 5 6 7 8 9 10; do
      perl -e '$held = \"x\"; $held x= 120_000_000; sleep 600' greedy-child & done; wait";

/// Many files, none of them large, in a folder that nobody may list.
const MANY_FILES: &str = "mkdir $HOME/hidden; cd $HOME/hidden
    for n in $(seq 1 200); do head -c 1000000 /dev/zero > file$n; done
    chmod 311 $HOME/hidden; sleep 600";

/// Short processes without end, none of which takes long on a processor.
const SHORT_PROCESSES: &str = "while :; do
      sh -c 'n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done' greedy-child; done";

/// A crew whose coder runs a command where the issue asks for it.
struct Greedy(Crew, &'static str);

impl Brain for Greedy {
    fn answer(&self, request: &Request) -> Answer {
        let asked = request.system.contains("Role: code")
            && request.last_user_text().is_some_and(|text| text.contains(GREED));
        if asked && request.tool_results_since_last_user_text().is_empty() {
            return Answer::tool("Bash", json!({"command": self.1, "description": "Take it"}));
        }
        self.0.answer(request)
    }
}

/// One issue's coder takes too much, while another issue's planner does its work.
async fn greedy(command: &'static str, ceiling: Ceiling, words: &str, failure: &'static str) {
    let limited = |config: &mut Config| config.agents.ceiling = ceiling;
    let brain = Arc::new(Greedy(Crew::new(), command));
    let story = Story::configured(brain, |_| (), limited).await;
    let greedy = story.mara().open_issue(REPOSITORY, GREED, "All of it.").unwrap();
    story.mara().label(REPOSITORY, greedy, "baton").unwrap();
    story.approve(greedy).await;
    let other = story.assigned();
    let told = |github: &emulators::github::GitHub| {
        github.comments(REPOSITORY, greedy).iter().any(|comment| comment.body.contains(words))
    };
    story.until("the limit and its setting", told).await;
    story.until("the other's plan", |github| asking(github, other).is_some()).await;
    story.until_true(failure).await;
    let left = processes_of(story.folder());
    assert!(!left.iter().any(|process| process.contains("greedy-child")), "{left:?}");
    story.mara().comment(REPOSITORY, other, "/baton stop").unwrap();
    story.end().await;
}

#[tokio::test]
async fn ten_processes_that_together_take_too_much_memory_end_and_no_other_agent_does() {
    let ceiling = Ceiling { memory: 600 << 20, ..Ceiling::default() };
    let failure = "SELECT count(*) = 1 AND bool_and(memory_peak_bytes > 600 << 20) FROM agents
        WHERE state_data #>> '{data,data,detail,of}' = 'memory'";
    greedy(TEN_PROCESSES, ceiling, "memory_gb in [sandbox]", failure).await;
}

#[tokio::test]
async fn many_files_that_together_fill_the_disk_end_their_agent_also_where_it_hides_them() {
    let ceiling = Ceiling { disk: 60 << 20, ..Ceiling::default() };
    let failure = "SELECT count(*) = 1 AND bool_and(held_bytes > 60 << 20) FROM agents
        WHERE state_data #>> '{data,data,detail,of}' = 'disk'";
    greedy(MANY_FILES, ceiling, "disk_gb in [sandbox]", failure).await;
}

#[tokio::test]
async fn many_short_processes_that_together_take_a_processor_too_long_end_with_their_agent() {
    // More than any other agent of the story takes, and soon over.
    let ceiling = Ceiling { cpu_ms: 6_000, ..Ceiling::default() };
    let failure = "SELECT count(*) = 1 AND bool_and(cpu_ms > 6000) FROM agents
        WHERE state_data #>> '{data,data,detail,of}' = 'processor'";
    greedy(SHORT_PROCESSES, ceiling, "cpu_minutes in [sandbox]", failure).await;
}

#[tokio::test]
async fn a_test_that_takes_too_much_is_ended_and_its_output_says_so() {
    let limited = |config: &mut Config| {
        config.agents.ceiling = Ceiling { memory: 600 << 20, ..Ceiling::default() };
    };
    let greedy = |recipe: &mut Recipe| {
        let policy =
            recipe.files.iter_mut().find(|(path, ..)| path == ".github/baton.yml").unwrap();
        let command = TEN_PROCESSES.replace('\n', " ");
        let quoted = serde_json::to_string(&command).unwrap();
        assert!(policy.1.contains("  - node --test\n"));
        policy.1 = policy.1.replace("  - node --test\n", &format!("  - {quoted}\n"));
    };
    let story = Story::configured(Arc::new(Crew::new()), greedy, limited).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story
        .until_true(
            "SELECT EXISTS (SELECT FROM command_runs WHERE state_data::text
                 LIKE '%Baton ended this command: it took more than 600 MiB of memory%')",
        )
        .await;
    story.end().await;
}
