//! The parts of GitHub's answers that several routes share.

use serde::Deserialize;

use crate::model::{ActorId, Login, Person};

/// GitHub shows content of deleted accounts as by `ghost`, whose id this is.
const GHOST: i64 = 10_137;

/// An account, as it stands in `user`, `owner`, `creator` and `account`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub id: i64,
    pub login: String,
}

impl Account {
    /// The account as a noun of the model.
    pub(super) fn person(self) -> Person {
        let login = Login::new(self.login).unwrap_or_else(|_| ghost_login());
        Person { id: ActorId(self.id), login }
    }
}

/// The author of something; `ghost` where GitHub names none.
pub(super) fn author(account: Option<Account>) -> Person {
    account.map_or_else(|| Person { id: ActorId(GHOST), login: ghost_login() }, Account::person)
}

/// Whether a text begins with a marker; one further down is a quotation.
pub(super) fn begins_with(text: &str, marker: &str) -> bool {
    text.trim_start().starts_with(marker)
}

fn ghost_login() -> Login {
    Login::new("ghost").expect("`ghost` is made of letters")
}

/// A new object of which only the ids matter.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub id: i64,
    #[serde(default)]
    pub node_id: String,
}

/// A new thread of which only the number matters.
#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    pub number: u64,
}
