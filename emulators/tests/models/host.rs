//! The sample deployed to the host and verified there.

use emulators::host::{Host, Settings};
use serde_json::{Value, json};

use crate::support::{Checkout, client, eventually};

const TOKEN: &str = "deploy-token";

async fn host(checkout: &Checkout) -> Host {
    Host::start(Settings::local(TOKEN, checkout.home().join("host"))).await.unwrap()
}

async fn deploy(checkout: &Checkout, host: &Host) -> (bool, String) {
    let environment = [("DEPLOY_URL", host.url()), ("DEPLOY_TOKEN", TOKEN.to_owned())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    checkout.node(&["scripts/deploy.mjs"], &environment).await
}

async fn verify(checkout: &Checkout, host: &Host) -> (bool, String) {
    checkout.node(&["scripts/verify.mjs"], &[("SERVICE_URL", &host.service_url())]).await
}

fn release(text: &str) -> Value {
    json!({"files": {"a.mjs": text}, "start": ["node", "a.mjs"], "sha": "c41d09a"})
}

async fn upload(host: &Host, token: &str, release: &Value) -> (u16, Value) {
    let request =
        client().post(format!("{}/releases", host.url())).bearer_auth(token).json(release);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn unfixed_program_deploys_but_does_not_verify_and_the_fixed_one_does() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    let (deployed, told) = deploy(&checkout, &host).await;
    assert!(deployed, "{told}");
    let (verified, told) = verify(&checkout, &host).await;
    assert!(!verified);
    assert!(told.contains("FAIL  an open range reaches the last byte: asked bytes=500-"), "{told}");
    assert!(told.contains("2 of 6 criteria failed"), "{told}");

    checkout.replace("src/range.mjs", "? size - 1 :", "? size :");
    checkout.git(&["commit", "-qam", "Fix"]);
    assert!(deploy(&checkout, &host).await.0);
    let (verified, told) = verify(&checkout, &host).await;
    assert!(verified, "{told}");
    assert!(told.contains("all 6 criteria hold"), "{told}");

    let deployed = host.deployed().await;
    assert_eq!(deployed.iter().map(|release| release.running).collect::<Vec<_>>(), [false, true]);
    assert_eq!(deployed[1].sha, checkout.git(&["rev-parse", "HEAD"]).trim());
    assert!(client().get(&deployed[0].url).send().await.is_err(), "the first release is gone");

    host.shutdown().await;
    assert!(client().get(&deployed[1].url).send().await.is_err(), "no program outlives its host");
}

#[tokio::test]
async fn wrong_token_is_refused() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    assert_eq!(upload(&host, "other", &release("")).await.0, 401);
    let environment = [("DEPLOY_URL", host.url()), ("DEPLOY_TOKEN", "other".to_owned())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (deployed, told) = checkout.node(&["scripts/deploy.mjs"], &environment).await;
    assert!(!deployed);
    assert!(told.contains("the host answered 401"), "{told}");
}

#[tokio::test]
async fn release_that_does_not_start_leaves_the_running_one_alone() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    assert!(deploy(&checkout, &host).await.0);
    let (status, told) = upload(&host, TOKEN, &release("console.log('no luck')")).await;
    assert_eq!(status, 502);
    let reason = told["error"].as_str().unwrap();
    assert!(reason.contains("ended before it listened") && reason.contains("no luck"), "{reason}");

    let response =
        client().get(format!("{}/healthz?x=1", host.service_url())).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok\n");
    let status = client().get(format!("{}/status", host.url())).send().await.unwrap();
    assert_eq!(status.json::<Value>().await.unwrap()["releases"][0]["running"], true);
}

#[tokio::test]
async fn program_sees_nothing_of_its_host_but_path_and_port() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    let program = "import { createServer } from 'node:http';
        createServer((_, response) => response.end(JSON.stringify(Object.keys(process.env).sort()))).listen(process.env.PORT, '127.0.0.1');";
    assert_eq!(upload(&host, TOKEN, &release(program)).await.0, 201);
    let response = client().get(host.service_url()).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), json!(["PATH", "PORT"]));
}

#[tokio::test]
async fn odd_uploads_are_refused_with_a_reason() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    let outside = json!({"files": {"../a.mjs": ""}, "start": ["node"], "sha": "c41d09a"});
    assert_eq!(
        upload(&host, TOKEN, &outside).await,
        (422, json!({"error": "\"../a.mjs\" is no plain relative path"}))
    );
    assert_eq!(upload(&host, TOKEN, &json!({"files": {}})).await.0, 422);
    let service = client().get(format!("{}/x", host.service_url())).send().await.unwrap();
    assert_eq!(service.status(), 503);
    let unknown = client().get(format!("{}/x", host.url())).send().await.unwrap();
    assert_eq!(unknown.json::<Value>().await.unwrap()["error"], "the host has no GET /x");
}

#[tokio::test]
async fn dropped_host_leaves_no_program_behind() {
    let checkout = Checkout::new();
    let host = host(&checkout).await;
    assert!(deploy(&checkout, &host).await.0);
    let url = host.deployed().await[0].url.clone();
    let address = url.trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(host);
    eventually(|| std::net::TcpStream::connect(&address).is_err().then_some(())).await;
}
