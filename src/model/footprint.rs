//! What an agent takes of the machine that it runs on.

use serde::{Deserialize, Serialize};

/// What all processes of an agent have used so far, those that have ended among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Time on a processor, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of memory that are its own now; 0 once it has ended. What is mapped from files is left out:
    /// several share it, and the kernel can take it back.
    pub memory: u64,
    /// The most that this was at any look.
    pub memory_peak: u64,
    /// Bytes that it had written to disks.
    pub written: u64,
    /// Bytes that its workspace and all beside it held on disk when they were last weighed.
    pub held: u64,
}

impl Footprint {
    /// Takes in a later look at the same agent. A look can miss processes that come and go, so what only
    /// grows never shrinks.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms.max(later.cpu_ms),
            memory: later.memory,
            memory_peak: self.memory_peak.max(later.memory_peak).max(later.memory),
            written: self.written.max(later.written),
            held: later.held,
        }
    }

    /// Takes in what was seen of the process that came after these, which have ended.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms + next.cpu_ms,
            memory: next.memory,
            memory_peak: self.memory_peak.max(next.memory_peak),
            written: self.written + next.written,
            held: self.held.max(next.held),
        }
    }

    /// Whether anything was measured.
    #[must_use]
    pub fn is_known(self) -> bool {
        self != Self::default()
    }
}

/// Bytes in words: `5 MiB`, `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_look_moves_what_is_held_and_only_raises_the_rest() {
        let first = Footprint { cpu_ms: 50, memory: 300, memory_peak: 300, written: 7, held: 5 };
        let missed = Footprint { cpu_ms: 20, memory: 100, memory_peak: 0, written: 9, held: 4 };
        let both = Footprint { cpu_ms: 50, memory: 100, memory_peak: 300, written: 9, held: 4 };
        assert_eq!(first.then(missed), both);
        assert_eq!(both.then(first).memory_peak, 300);
        let next = Footprint { cpu_ms: 1, memory: 1, memory_peak: 2, written: 1, held: 2 };
        let after = Footprint { cpu_ms: 51, memory: 1, memory_peak: 300, written: 10, held: 4 };
        assert_eq!(both.and(next), after);
    }

    #[test]
    fn sizes_are_told_in_words() {
        assert_eq!(
            [size(0), size(1), size(5 << 20), size(3 << 29)],
            ["0 KiB", "1 KiB", "5 MiB", "1.5 GiB"]
        );
    }
}
