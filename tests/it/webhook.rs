//! Notices posted by the real binary to a real HTTP receiver on loopback.

use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use sqlx::{AnyConnection, Connection as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::harness::{Folder, eventually};
use crate::site::SITE;

/// A receiver that refuses its first posts and takes the rest.
struct Receiver {
    /// Each post in order: what was answered, and its body.
    posts: Arc<Mutex<Vec<(StatusCode, Value)>>>,
    port: u16,
    _stop: oneshot::Sender<()>,
}

type Posts = (Arc<Mutex<Vec<(StatusCode, Value)>>>, usize);

async fn take(State((posts, refused)): State<Posts>, body: String) -> StatusCode {
    let mut posts = posts.lock().unwrap();
    let answer = if posts.len() < refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    posts.push((answer, serde_json::from_str(&body).unwrap()));
    answer
}

impl Receiver {
    fn start(refused: usize) -> Receiver {
        let posts = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().route("/notices", post(take)).with_state((Arc::clone(&posts), refused));
        let (bound, port) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap().port()).unwrap();
                let stop = async { drop(stopped.await) };
                axum::serve(listener, router).with_graceful_shutdown(stop).await.unwrap();
            });
        });
        Receiver { posts, port: port.recv().unwrap(), _stop: stop }
    }

    fn posts(&self) -> Vec<(StatusCode, Value)> {
        self.posts.lock().unwrap().clone()
    }

    /// What was taken, by the notice's number.
    fn taken(&self, notice: &Value) -> usize {
        self.posts().iter().filter(|(answer, body)| *answer == StatusCode::OK && body["notice"] == *notice).count()
    }
}

/// Rows of the outbox that wait.
fn undelivered(folder: &Folder) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=ro", folder.data().join("book.sqlite").display());
        let mut book = AnyConnection::connect(&url).await.unwrap();
        let sql = "SELECT COUNT(*) FROM outbox WHERE delivered_at IS NULL";
        sqlx::query_as::<_, (i64,)>(sql).fetch_one(&mut book).await.unwrap().0
    })
}

#[test]
fn a_notice_is_posted_until_the_webhook_takes_it_and_then_never_again() {
    let receiver = Receiver::start(1);
    let webhook = format!("mode = \"shadow\"\nwebhook = \"http://127.0.0.1:{}/notices\"", receiver.port);
    let folder = Folder::with_site(&SITE.replace("mode = \"shadow\"", &webhook));
    // Nobody has anything in his wallet, and the first level is 20.00.
    let server = folder.serve();
    let first = eventually("a refused post", || receiver.posts().first().cloned());
    assert_eq!(first.0, StatusCode::SERVICE_UNAVAILABLE);
    let body = &first.1;
    let said = [&body["kind"], &body["level"], &body["site"]].map(Value::to_string);
    assert_eq!(said, ["\"low_balance\"", "1", "\"block\""]);
    let (account, text) = (body["account"].as_str().unwrap(), body["text"].as_str().unwrap());
    let stored = folder.sql(&format!("select account, text from notices where notice_id = {}", body["notice"]));
    assert!(stored.starts_with(account) && stored.contains(text), "{stored} is not {body}");
    eventually("the same notice, taken", || (receiver.taken(&body["notice"]) == 1).then_some(()));
    eventually("all deliveries written down", || (undelivered(&folder) == 0).then_some(()));
    assert!(server.terminate().status.success());
    // What was taken is not posted again by the next server; what comes new is.
    let before = receiver.posts().len();
    let server = folder.serve();
    folder.ok(&["topup", account, "100", "--key", "w-1"]);
    assert!(server.terminate().status.success());
    assert_eq!(receiver.taken(&body["notice"]), 1, "{:?}", receiver.posts()[before..].to_vec());
    folder.ok(&["audit"]);
}
