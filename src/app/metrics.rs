//! Figures for a monitoring system, read when they are asked for.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    db::{DbError, overview, reports, usage},
    pipeline::Parts,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Played {
    role: String,
}

/// Counts and writes them in the OpenMetrics text format.
pub(super) async fn render(parts: &Parts) -> Result<String, DbError> {
    let mut registry = Registry::with_prefix("baton");
    let families = [
        ("tasks", "Tasks that are not over, by state"),
        ("agents", "Agents that have not ended, by state"),
        ("agents_waiting", "Queued agents, by what they wait for"),
        (
            "agents_taken",
            "What agents take: memory and disk held now, time on processors and bytes written in all",
        ),
        ("jobs", "Jobs that wait, by lane"),
    ];
    let figures = overview::figures(&parts.pool).await?;
    for (name, help) in families {
        let family = Family::<State, Gauge>::default();
        for figure in figures.iter().filter(|figure| figure.name == name) {
            family.get_or_create(&State { state: figure.label.clone() }).set(figure.count);
        }
        registry.register(name, help, family);
    }
    let by_role = Family::<Played, Gauge>::default();
    for (role, count) in overview::count_by_role(&parts.pool).await? {
        by_role.get_or_create(&Played { role: role.name().to_owned() }).set(count);
    }
    registry.register("agents_playing", "Agents that have not ended, by role", by_role);
    let now = parts.clock.now();
    let single = [
        (
            "reports_lagging",
            "Reports that GitHub does not show yet",
            reports::count_lagging_since(&parts.pool, now).await?,
        ),
        (
            "spent_today_micro_usd",
            "Spent today on models",
            usage::spent_today_in_all(&parts.pool, now).await?.0,
        ),
        ("sandbox_holds", "1 when agents can start", i64::from(parts.runtime.remedy().is_none())),
    ];
    for (name, help, value) in single {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing into a String cannot fail");
    Ok(text)
}
