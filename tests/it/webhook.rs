//! The webhook's end point over real connections, with a store that tests can break.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use baton::{
    clock::Clock,
    db::deliveries::NewDelivery,
    webhook::{Receiver, Settings, SettingsError, Store, StoreError, Writer, WriterTasks, router},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

const SECRET: &str = "current";
const GUID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// Holds what was accepted; can be away, or wait for a sign.
#[derive(Clone)]
struct MemoryStore {
    accepted: Arc<Mutex<Vec<NewDelivery>>>,
    away: Arc<AtomicBool>,
    /// Gets a permit for each batch that comes.
    came: Arc<Semaphore>,
    /// Where each batch has to pass.
    gate: Arc<Semaphore>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            accepted: Arc::default(),
            away: Arc::default(),
            came: Arc::new(Semaphore::new(0)),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }
}

impl Store for MemoryStore {
    async fn accept(&self, batch: &[NewDelivery]) -> Result<(), StoreError> {
        self.came.add_permits(1);
        let _pass = self.gate.acquire().await.unwrap();
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Away("it is away".into()));
        }
        let mut accepted = self.accepted.lock().unwrap();
        for delivery in batch {
            if accepted.iter().all(|known| known.guid != delivery.guid) {
                accepted.push(delivery.clone());
            }
        }
        Ok(())
    }
}

/// A listening end point; `close` stops it and asserts that all its tasks end.
struct EndPoint {
    address: String,
    store: MemoryStore,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    tasks: WriterTasks,
}

impl EndPoint {
    async fn start(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(vec![SECRET.into(), "previous".into()]);
        adjust(&mut settings);
        let store = MemoryStore::default();
        let (writer, tasks) = Writer::start(store.clone());
        let receiver = Receiver::new(&settings, writer, Clock::system()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, router(receiver)).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let server = tokio::spawn(server.into_future());
        Self { address, store, stop, server, tasks }
    }

    async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> reqwest::Response {
        let mut request = reqwest::Client::new().post(format!("http://{}/webhook", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_vec()).send().await.unwrap()
    }

    /// Sends a well-formed delivery and gives the status.
    async fn deliver(&self, guid: &str, event: &str, body: &[u8]) -> u16 {
        let signature = sign(SECRET, body);
        let headers = [
            ("x-github-delivery", guid),
            ("x-github-event", event),
            ("x-hub-signature-256", &*signature),
        ];
        self.post(&headers, body).await.status().as_u16()
    }

    fn stored(&self) -> Vec<NewDelivery> {
        self.store.accepted.lock().unwrap().clone()
    }

    async fn close(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
        self.tasks.join().await;
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut sum = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    sum.update(body);
    let digits: String = sum.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={digits}")
}

#[tokio::test]
async fn a_signed_delivery_is_stored_as_it_came() {
    let end_point = EndPoint::start(|_| {}).await;
    let body = b"{\"zen\": \"\xc3\xbc\"}";
    let signature = sign(SECRET, body);
    let headers = [
        ("X-GitHub-Delivery", GUID),
        ("X-GitHub-Event", "ping"),
        ("X-Hub-Signature-256", &*signature),
        ("X-GitHub-Hook-Installation-Target-ID", "42"),
        ("User-Agent", "GitHub-Hookshot/x"),
        ("Authorization", "Bearer secret"),
    ];
    assert_eq!(end_point.post(&headers, body).await.status(), 202);
    let stored = end_point.stored();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].guid.to_string(), GUID);
    assert_eq!((stored[0].event.as_str(), stored[0].target_id), ("ping", Some(42)));
    assert_eq!(&stored[0].body[..], body);
    let kept = stored[0].headers.as_object().unwrap();
    assert_eq!(kept["x-github-event"], "ping");
    assert_eq!(kept["user-agent"], "GitHub-Hookshot/x");
    assert!(!kept.contains_key("authorization") && !kept.contains_key("x-hub-signature-256"));
    end_point.close().await;
}

#[tokio::test]
async fn the_previous_secret_still_counts_and_a_replay_changes_nothing() {
    let end_point = EndPoint::start(|_| {}).await;
    let previous = sign("previous", b"{}");
    let headers = [
        ("x-github-delivery", GUID),
        ("x-github-event", "push"),
        ("x-hub-signature-256", &*previous),
    ];
    assert_eq!(end_point.post(&headers, b"{}").await.status(), 202);
    assert_eq!(end_point.deliver(GUID, "push", b"{}").await, 202);
    assert_eq!(end_point.stored().len(), 1);
    end_point.close().await;
}

#[tokio::test]
async fn what_github_did_not_sign_is_refused_and_not_stored() {
    let end_point = EndPoint::start(|_| {}).await;
    let good = sign(SECRET, b"{}");
    let wrong = sign("another", b"{}");
    let of_other_body = sign(SECRET, b"{} ");
    for signature in ["", "sha256=", &good[..70], &wrong, &of_other_body, &good[7..]] {
        let headers = [
            ("x-github-delivery", GUID),
            ("x-github-event", "push"),
            ("x-hub-signature-256", signature),
        ];
        assert_eq!(end_point.post(&headers, b"{}").await.status(), 401, "{signature:?}");
    }
    let unsigned = [("x-github-delivery", GUID), ("x-github-event", "push")];
    assert_eq!(end_point.post(&unsigned, b"{}").await.status(), 401);
    let sha1_only = [
        ("x-github-delivery", GUID),
        ("x-github-event", "push"),
        ("x-hub-signature", "sha1=5d61605c3feea9799210ddcb71307d4ba264225f"),
    ];
    assert_eq!(end_point.post(&sha1_only, b"{}").await.status(), 401);
    assert!(end_point.stored().is_empty());
    end_point.close().await;
}

#[tokio::test]
async fn a_delivery_without_its_headers_is_a_bad_request() {
    let end_point = EndPoint::start(|_| {}).await;
    for (guid, event) in
        [("", "push"), ("no-guid", "push"), (GUID, ""), (GUID, "Push!"), (GUID, &"x".repeat(65))]
    {
        assert_eq!(end_point.deliver(guid, event, b"{}").await, 400, "{guid:?} {event:?}");
    }
    let signature = sign(SECRET, b"payload=%7B%7D");
    let form = [
        ("x-github-delivery", GUID),
        ("x-github-event", "push"),
        ("x-hub-signature-256", &*signature),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(end_point.post(&form, b"payload=%7B%7D").await.status(), 415);
    assert!(end_point.stored().is_empty());
    let url = format!("http://{}/webhook", end_point.address);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 405);
    end_point.close().await;
}

/// Writes a request by hand and gives the first line of the answer.
async fn raw(address: &str, head: &str, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let signature = format!("x-hub-signature-256: sha256={}\r\n", "0".repeat(64));
    let head = format!("POST /webhook HTTP/1.1\r\nhost: x\r\n{signature}{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in pieces {
        // The answer may come, and the connection end, before all is sent.
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let end_point = EndPoint::start(|settings| settings.max_body = 1000).await;
    // Announced, and not a byte of it sent.
    let answer = raw(&end_point.address, "content-length: 1001", &[]).await;
    assert_eq!(answer, "HTTP/1.1 413 Payload Too Large");
    // Not announced: it grows past the limit without ever ending.
    let chunk = [b"200\r\n".as_slice(), &[b'x'; 0x200], b"\r\n"].concat();
    let answer = raw(&end_point.address, "transfer-encoding: chunked", &[&chunk, &chunk]).await;
    assert_eq!(answer, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(end_point.deliver(GUID, "push", &[b' '; 1000]).await, 202);
    end_point.close().await;
}

#[tokio::test]
async fn too_many_bytes_at_once_are_sent_away_and_come_back_later() {
    let end_point = EndPoint::start(|settings| {
        (settings.max_body, settings.max_in_flight_bytes) = (1000, 1000);
    })
    .await;
    end_point.store.gate.forget_permits(Semaphore::MAX_PERMITS);
    let first = end_point.deliver("72d3162e-cc78-11e3-81ab-4c9367dc0959", "push", &[b' '; 900]);
    let second = async {
        end_point.store.came.acquire().await.unwrap().forget();
        let body = [b' '; 200];
        let signature = sign(SECRET, &body);
        let headers = [
            ("x-github-delivery", GUID),
            ("x-github-event", "push"),
            ("x-hub-signature-256", &*signature),
        ];
        let answer = end_point.post(&headers, &body).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "10");
        end_point.store.gate.add_permits(10);
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first, 202);
    assert_eq!(end_point.deliver(GUID, "push", &[b' '; 1000]).await, 202);
    end_point.close().await;
}

#[tokio::test]
async fn without_a_database_github_is_told_to_come_again() {
    let end_point = EndPoint::start(|_| {}).await;
    end_point.store.away.store(true, Ordering::Relaxed);
    assert_eq!(end_point.deliver(GUID, "push", b"{}").await, 503);
    end_point.store.away.store(false, Ordering::Relaxed);
    assert_eq!(end_point.deliver(GUID, "push", b"{}").await, 202);
    end_point.close().await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_waited_for() {
    let end_point = EndPoint::start(|_| {}).await;
    end_point.store.gate.forget_permits(Semaphore::MAX_PERMITS);
    assert_eq!(end_point.deliver(GUID, "push", b"{}").await, 503);
    end_point.store.gate.add_permits(10);
    assert_eq!(end_point.deliver(GUID, "push", b"{}").await, 202);
    end_point.close().await;
}

#[tokio::test]
async fn a_receiver_without_a_secret_cannot_be_made() {
    let (writer, tasks) = Writer::start(MemoryStore::default());
    for secrets in [vec![], vec!["".into()], vec![SECRET.into(), "".into()]] {
        let made = Receiver::new(&Settings::new(secrets), writer.clone(), Clock::system());
        assert_eq!(made.err(), Some(SettingsError::NoSecret));
    }
    let tight = Settings { max_in_flight_bytes: 10, ..Settings::new(vec![SECRET.into()]) };
    let made = Receiver::new(&tight, writer, Clock::system());
    assert_eq!(made.err(), Some(SettingsError::TooFewBytes));
    tasks.join().await;
}
