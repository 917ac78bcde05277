//! The database: its programs or its address, and its tables.

use sqlx::PgPool;

use super::Check;
use crate::{
    app::{Place, place},
    db::{self, Found},
    embedded::{self, Embedded},
};

/// The oldest major version that the Postgres project still keeps.
const LEAST_SERVER: u32 = 14;

/// An open database; a private server that was started for it ends with it.
pub(super) struct Opened {
    pub pool: PgPool,
    embedded: Option<Embedded>,
}

impl Opened {
    pub async fn close(self) {
        self.pool.close().await;
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            tracing::warn!(%error, "the private Postgres did not stop");
        }
    }
}

/// Opens the database where there is one; its tables are left as they are.
pub(super) async fn open(place: &Place, tell: &mut (dyn FnMut(Check) + Send)) -> Option<Opened> {
    const NAME: &str = "database";
    if place.database_url.is_none() && !place.data.join("postgres/data").exists() {
        tell(match embedded::installed(&place.data.join("postgres")) {
            Ok(program) => Check::holds(
                NAME,
                format!("none yet: baton serve makes a private one with {}", program.display()),
            ),
            Err(error) => Check::fails(NAME, error, "see there, then run baton doctor again"),
        });
        return None;
    }
    let opened = match place::connect(place).await {
        Ok((pool, embedded)) => Opened { pool, embedded },
        Err(error) => {
            let remedy = match &place.database_url {
                Some(_) => {
                    "see that Postgres runs there and that DATABASE_URL names its host, account, \
                            password and database, or unset DATABASE_URL for a private one"
                }
                None => "see what it says; its log is postgres/log in the data folder",
            };
            tell(Check::fails(NAME, format!("{error:#}"), remedy));
            return None;
        }
    };
    let found = match db::look(&opened.pool).await {
        Ok(found) => found,
        Err(error) => {
            let error = anyhow::Error::from(error);
            tell(Check::fails(
                NAME,
                format!("{error:#}"),
                "see that the account may read its tables",
            ));
            opened.close().await;
            return None;
        }
    };
    tell(server(place, found));
    let tables = tables(found);
    let usable = tables.verdict == super::Verdict::Holds;
    tell(tables);
    if usable {
        return Some(opened);
    }
    opened.close().await;
    None
}

fn server(place: &Place, Found { server, .. }: Found) -> Check {
    let whose = if place.database_url.is_some() { "of DATABASE_URL" } else { "private" };
    let seen = format!("Postgres {server}, {whose}");
    if server >= LEAST_SERVER {
        return Check::holds("database", seen);
    }
    Check::fails("database", seen, format!("bring it to Postgres {LEAST_SERVER} or newer"))
}

fn tables(Found { lacking, unknown, .. }: Found) -> Check {
    const NAME: &str = "tables";
    match (lacking, unknown) {
        (0, 0) => Check::holds(NAME, "up to date"),
        (0, unknown) => Check::fails(
            NAME,
            format!("a newer Baton made {unknown} change(s) that this one does not know"),
            "run that newer version of Baton",
        ),
        (lacking, _) => Check::fails(
            NAME,
            format!("{lacking} change(s) behind"),
            "run baton migrate (baton serve does it too when it starts)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::checks::Verdict;

    #[test]
    fn an_old_server_and_a_newer_batons_tables_are_refused() {
        let found = Found { server: 13, lacking: 0, unknown: 2 };
        let place = Place { data: "x".into(), database_url: None };
        assert!(matches!(server(&place, found).verdict, Verdict::Fails { .. }));
        assert!(matches!(tables(found).verdict, Verdict::Fails { .. }));
        let found = Found { server: 14, lacking: 0, unknown: 0 };
        assert_eq!(server(&place, found).verdict, Verdict::Holds);
        assert_eq!(tables(found).verdict, Verdict::Holds);
    }
}
