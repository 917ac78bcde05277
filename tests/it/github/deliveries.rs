//! GitHub's list of deliveries: what was missed is found, read and asked for again.

use chrono::TimeDelta;

use super::emulated::{OWNER, REPO, World};

#[tokio::test]
async fn missed_deliveries_are_listed_read_and_delivered_again() {
    let world = World::start().await;
    world.github.set_webhook_url("http://127.0.0.1:9/webhook");
    let since = world.clock.now();
    world.clock.advance(TimeDelta::seconds(5));
    let number = world.issue();
    let owner = world.github.as_user(OWNER);
    for count in 0..120 {
        owner.comment(REPO, number, &format!("word {count}")).unwrap();
    }
    let all_sent = |github: &emulators::github::GitHub| {
        github.deliveries().iter().filter(|delivery| delivery.status_code.is_some()).count() >= 121
    };
    assert!(world.github.wait_for(std::time::Duration::from_secs(30), all_sent).await);
    let missed = world.app.deliveries_since(since).await.unwrap();
    assert_eq!(missed.len(), 121);
    assert!(missed.iter().all(|delivery| !delivery.redelivery));
    let opened = missed.last().unwrap();
    assert_eq!(opened.event, "issues");
    let delivery = world.app.delivery(opened.id).await.unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&delivery.payload).unwrap();
    assert_eq!(
        (payload["action"].as_str(), payload["issue"]["number"].as_u64()),
        (Some("opened"), Some(number))
    );
    let guid = delivery.headers.iter().find(|(name, _)| name == "x-github-delivery");
    assert_eq!(guid.unwrap().1, opened.guid.to_string());

    let later = world.clock.now() + TimeDelta::seconds(1);
    assert_eq!(world.app.deliveries_since(later).await.unwrap(), []);
    world.app.redeliver(opened.id).await.unwrap();
    let again = |github: &emulators::github::GitHub| {
        github.deliveries().iter().filter(|delivery| delivery.status_code.is_some()).count() >= 122
    };
    assert!(world.github.wait_for(std::time::Duration::from_secs(30), again).await);
    let newest = &world.app.deliveries(None).await.unwrap().deliveries[0];
    assert_eq!((newest.guid, newest.redelivery), (opened.guid, true));
}
