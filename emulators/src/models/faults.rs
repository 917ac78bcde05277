//! Faults as state: what goes wrong with the next requests to `/v1/messages`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One thing that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An error answer in the API's shape.
    Status {
        /// The HTTP status, such as 429, 500 or 529.
        status: u16,
        /// Seconds for the `retry-after` header.
        retry_after: Option<u64>,
        /// `error.type`, such as `overloaded_error`.
        kind: String,
        /// `error.message`.
        message: String,
    },
    /// The right answer, but its first byte comes this much later.
    Delay(Duration),
    /// The connection breaks after so many events of the stream; a plain JSON answer breaks in its middle.
    CutAfter(usize),
    /// Status 200 and bytes that are neither events nor JSON.
    Garbage,
    /// A stream that begins and then says nothing for ever; a plain JSON answer never begins.
    Stall,
}

impl Fault {
    /// A status with the error type that the API gives it.
    pub fn status(status: u16) -> Self {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        let message = format!("the emulator was told to answer {status}");
        Self::Status { status, retry_after: None, kind: kind.to_owned(), message }
    }

    /// Too many requests; try again after so many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        Self::Status {
            status: 429,
            retry_after: Some(seconds),
            kind: "rate_limit_error".to_owned(),
            message: "the emulator was told to limit the rate".to_owned(),
        }
    }
}

/// The faults that wait for their requests; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    waiting: Arc<Mutex<VecDeque<Fault>>>,
}

impl Faults {
    /// Lets the next `count` requests that have no fault yet meet this one.
    pub fn next(&self, count: usize, fault: Fault) {
        self.locked(|waiting| waiting.extend(std::iter::repeat_n(fault, count)));
    }

    /// Forgets the faults that have not happened.
    pub fn clear(&self) {
        self.locked(VecDeque::clear);
    }

    /// How many faults have not happened.
    pub fn left(&self) -> usize {
        self.locked(|waiting| waiting.len())
    }

    /// The fault of this request.
    pub(super) fn take(&self) -> Option<Fault> {
        self.locked(VecDeque::pop_front)
    }

    fn locked<T>(&self, act: impl FnOnce(&mut VecDeque<Fault>) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
