//! How many agents have room here, and what queued ones wait for.

use sqlx::PgPool;

use super::Check;
use crate::{
    app::capacity::MEASURED,
    db::{agents, overview},
    model::{Footprint, Machine, Need, size},
    sandbox::Gauge,
};

const NAME: &str = "capacity";

/// Measures as the server does before each start.
pub(super) async fn capacity(pool: &PgPool) -> anyhow::Result<Check> {
    let Some(machine) = Gauge::default().read() else {
        return Ok(Check::skipped(NAME, "the kernel does not tell how much memory is free"));
    };
    let need = Need::of(&agents::list_measured(pool, MEASURED).await?);
    let open = agents::list_open(pool).await?;
    let running: Vec<Footprint> =
        open.iter().map(|row| row.agent.footprint).filter(|it| it.is_known()).collect();
    let mut seen = room(&machine, &need, &running);
    for (lack, count) in overview::count_waiting(pool).await? {
        seen.push_str(&format!("\n{count} waits for {}", lack.awaited()));
    }
    Ok(match machine.lack(&need, &[], 0) {
        None => Check::holds(NAME, seen),
        Some(lack) => Check::fails(
            NAME,
            format!("no agent can start, for want of {}: {seen}", lack.awaited()),
            "end what takes the memory, or give the machine or Baton's control group more",
        ),
    })
}

fn room(machine: &Machine, need: &Need, running: &[Footprint]) -> String {
    let known = match need.measured {
        0 => "a guess, as none was measured yet".to_owned(),
        measured => format!("by the last {measured}"),
    };
    format!(
        "room for {} more: {} of memory free, an agent takes up to {} ({known}); {} processor(s), \
         somebody waits for one {} % of the time",
        machine.room(need, running),
        size(machine.available),
        size(need.memory),
        machine.processors,
        machine.pressure / 10,
    )
}
