//! How much of its machine one agent or command may take in all.

use serde::{Deserialize, Serialize};

use super::{Footprint, size};

/// The most that all processes of one agent, or of one command, may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Bytes of memory at one time.
    pub memory: u64,
    /// Bytes that its workspace and all beside it hold on disk.
    pub disk: u64,
    /// Milliseconds on a processor.
    pub cpu_ms: u64,
}

impl Default for Ceiling {
    /// 8 GiB of memory, 20 GiB on disk, 600 minutes on a processor: room for a large build, and an end.
    fn default() -> Self {
        Self { memory: 8 << 30, disk: 20 << 30, cpu_ms: 600 * 60_000 }
    }
}

impl Ceiling {
    /// Which part of it is passed, if one is.
    #[must_use]
    pub fn passed_by(self, taken: Footprint) -> Option<Excess> {
        if taken.memory > self.memory {
            Some(Excess::Memory { most: self.memory })
        } else if taken.held > self.disk {
            Some(Excess::Disk { most: self.disk })
        } else if taken.cpu_ms > self.cpu_ms {
            Some(Excess::Processor { most_ms: self.cpu_ms })
        } else {
            None
        }
    }
}

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Excess {
    /// Memory.
    Memory {
        /// How many bytes would have been allowed.
        most: u64,
    },
    /// Space on disk.
    Disk {
        /// How many bytes would have been allowed.
        most: u64,
    },
    /// Time on a processor.
    Processor {
        /// How many milliseconds would have been allowed.
        most_ms: u64,
    },
}

impl Excess {
    /// What was passed, and the setting of the server that says so: `more than 8.0 GiB of memory
    /// (memory_gb in [sandbox])`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Memory { most } => {
                format!("more than {} of memory ({} in [sandbox])", size(most), self.setting())
            }
            Self::Disk { most } => {
                format!("more than {} on disk ({} in [sandbox])", size(most), self.setting())
            }
            Self::Processor { most_ms } => {
                let minutes = most_ms / 60_000;
                format!("more than {minutes} min of processors ({} in [sandbox])", self.setting())
            }
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory_gb",
            Self::Disk { .. } => "disk_gb",
            Self::Processor { .. } => "cpu_minutes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_that_is_passed_is_named_with_its_setting() {
        let ceiling = Ceiling { memory: 10 << 30, disk: 20, cpu_ms: 120_000 };
        let most =
            Footprint { memory: 10 << 30, held: 20, cpu_ms: 120_000, ..Footprint::default() };
        assert_eq!(ceiling.passed_by(most), None);
        let words = |taken| ceiling.passed_by(taken).map(Excess::words);
        let memory = "more than 10.0 GiB of memory (memory_gb in [sandbox])";
        assert_eq!(words(Footprint { memory: most.memory + 1, ..most }).as_deref(), Some(memory));
        let disk = "more than 1 KiB on disk (disk_gb in [sandbox])";
        assert_eq!(words(Footprint { held: 21, ..most }).as_deref(), Some(disk));
        let time = "more than 2 min of processors (cpu_minutes in [sandbox])";
        assert_eq!(words(Footprint { cpu_ms: 120_001, ..most }).as_deref(), Some(time));
    }
}
