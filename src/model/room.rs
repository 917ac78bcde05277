//! Whether a machine has room for one more agent, and what a queued agent waits for.

use serde::{Deserialize, Serialize};

use super::Footprint;

/// What there is too little of for an agent to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The machine's memory.
    Memory,
    /// The machine's processors.
    Processors,
    /// Agents that the server may run at once.
    ServerLimit,
    /// Agents that one repository may run at once.
    RepositoryLimit,
    /// Agents of one role at once.
    RoleLimit,
    /// Agents of one provider at once.
    ProviderLimit,
}

impl Lack {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Processors,
        Self::ServerLimit,
        Self::RepositoryLimit,
        Self::RoleLimit,
        Self::ProviderLimit,
    ];

    /// What is waited for: fits after "waits for".
    #[must_use]
    pub fn awaited(self) -> &'static str {
        match self {
            Self::Memory => "free memory on the machine",
            Self::Processors => "free processors on the machine",
            Self::ServerLimit => "another agent of this server to end",
            Self::RepositoryLimit => "another agent of this repository to end",
            Self::RoleLimit => "another agent of its role to end",
            Self::ProviderLimit => "another agent of its provider to end",
        }
    }
}

/// A machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of memory that can still be had without swapping, within all limits that hold for Baton.
    pub available: u64,
    /// Processors that Baton may use.
    pub processors: u32,
    /// The share of the last ten seconds in which something had to wait for a processor, in thousandths.
    pub pressure: u32,
}

/// What one agent takes, by those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Bytes of memory at its most.
    pub memory: u64,
    /// Thousandths of one processor, on average.
    pub processor: u32,
    /// From how many agents that is known; 0 for a guess.
    pub measured: u32,
}

impl Default for Need {
    /// Half a GiB and a quarter of a processor: a session of Claude Code, as measured.
    fn default() -> Self {
        Self { memory: 512 << 20, processor: 250, measured: 0 }
    }
}

/// Memory that stays free for everything else on the machine, in bytes.
const SPARE: u64 = 256 << 20;
/// No agent is taken to need less than this, in bytes: some that were measured had ended at once.
const LEAST: u64 = 64 << 20;
/// From here on the processors are busy, in thousandths.
const BUSY: u32 = 600;

impl Need {
    /// What nine of ten agents stayed within: memory at most, and their use of a processor on average.
    #[must_use]
    pub fn of(earlier: &[(Footprint, u64)]) -> Self {
        let mut peaks: Vec<u64> = earlier.iter().map(|(it, _)| it.memory_peak).collect();
        peaks.sort_unstable();
        let Some(memory) = peaks.get(peaks.len() * 9 / 10) else { return Self::default() };
        let cpu: u64 = earlier.iter().map(|(it, _)| it.cpu_ms).sum();
        let wall: u64 = earlier.iter().map(|(_, wall_ms)| wall_ms).sum();
        let processor = u32::try_from(cpu * 1000 / wall.max(1)).unwrap_or(u32::MAX);
        let measured = u32::try_from(earlier.len()).unwrap_or(u32::MAX);
        Self { memory: (*memory).max(LEAST), processor, measured }
    }
}

impl Machine {
    /// Why one more agent has no room beside those that run; none if it has.
    ///
    /// `starting` run here and were not looked at yet. What an agent does not take yet of what it needs is
    /// kept for it. The first one starts as long as there is any memory: otherwise a machine that is smaller
    /// than the estimate would never start any.
    #[must_use]
    pub fn lack(&self, need: &Need, running: &[Footprint], starting: usize) -> Option<Lack> {
        let all = running.len() + starting;
        let to_come: u64 = running.iter().map(|it| need.memory.saturating_sub(it.memory)).sum();
        let starting = need.memory.saturating_mul(starting as u64);
        let own = if all == 0 { 0 } else { need.memory };
        if self.available < SPARE + to_come + starting + own {
            return Some(Lack::Memory);
        }
        let processors = u64::from(need.processor) * (all as u64 + 1);
        let busy = self.pressure >= BUSY || processors > u64::from(self.processors) * 1000;
        (all > 0 && busy).then_some(Lack::Processors)
    }

    /// How many more agents have room by their memory, beside those that run.
    #[must_use]
    pub fn room(&self, need: &Need, running: &[Footprint]) -> u64 {
        let to_come: u64 = running.iter().map(|it| need.memory.saturating_sub(it.memory)).sum();
        self.available.saturating_sub(SPARE + to_come) / need.memory.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const NEED: Need = Need { memory: 400 * MIB, processor: 300, measured: 9 };

    fn machine(available: u64) -> Machine {
        Machine { available: available * MIB, processors: 2, pressure: 0 }
    }

    fn at(memory: u64) -> Footprint {
        Footprint { memory: memory * MIB, ..Footprint::default() }
    }

    #[test]
    fn what_running_agents_do_not_take_yet_is_kept_for_them() {
        let running = [at(100), at(390)];
        // 256 spare, 300 and 10 to come, 400 of its own.
        assert_eq!(machine(966).lack(&NEED, &running, 0), None);
        assert_eq!(machine(965).lack(&NEED, &running, 0), Some(Lack::Memory));
        assert_eq!(machine(1365).lack(&NEED, &running, 1), Some(Lack::Memory));
        assert_eq!(machine(1366).lack(&NEED, &running, 1), None);
    }

    #[test]
    fn the_first_agent_starts_on_a_machine_that_is_small_or_busy_but_not_on_a_full_one() {
        let busy = Machine { pressure: 1000, ..machine(300) };
        assert_eq!(busy.lack(&NEED, &[], 0), None);
        assert_eq!(machine(200).lack(&NEED, &[], 0), Some(Lack::Memory));
    }

    #[test]
    fn busy_processors_let_no_second_agent_start() {
        let busy = Machine { pressure: BUSY, ..machine(9000) };
        assert_eq!(busy.lack(&NEED, &[at(1)], 0), Some(Lack::Processors));
        // Six of three tenths are what two processors do, a seventh is more.
        assert_eq!(machine(9000).lack(&NEED, &[at(1); 5], 0), None);
        assert_eq!(machine(9000).lack(&NEED, &[at(1); 6], 0), Some(Lack::Processors));
    }

    #[test]
    fn the_need_is_what_nine_of_ten_stayed_within() {
        let agent = |n: u64| {
            let peak = Footprint { memory_peak: n * 10 * MIB, cpu_ms: 100, ..Footprint::default() };
            (peak, 1000)
        };
        let earlier: Vec<_> = (1..=20).map(agent).collect();
        let need = Need { memory: 190 * MIB, processor: 100, measured: 20 };
        assert_eq!(Need::of(&earlier), need);
        assert_eq!(Need::of(&earlier[..2]).memory, LEAST);
        assert_eq!(Need::of(&[]), Need::default());
        assert_eq!(machine(256 + 190 * 3 + 1).room(&need, &[at(190)]), 3);
    }
}
