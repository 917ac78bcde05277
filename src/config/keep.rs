//! How much is kept on the disk for later, and for how long in the database.

use serde::Deserialize;

use super::Source;
use crate::model::Keep;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    days: Option<u32>,
    gigabytes: Option<u32>,
    log_days: Option<u32>,
}

pub(super) fn read(source: &mut Source) -> Keep {
    let file: File = source.section("keep");
    let default = Keep::default();
    Keep {
        days: file.days.unwrap_or(default.days),
        bytes: file.gigabytes.map_or(default.bytes, |gigabytes| u64::from(gigabytes) << 30),
        log_days: file.log_days.unwrap_or(default.log_days),
    }
}
