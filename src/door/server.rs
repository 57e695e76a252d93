//! The serving side of the control socket.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::{CALL_BYTES_MAX, Piece, socket};
use crate::call::{Asked, Failure};
use crate::node::Node;
use crate::perform::perform;

/// How long a call under way may keep a server that is told to stop: its caller may be paused, or gone to sleep.
const GRACE: Duration = Duration::from_secs(10);

/// Listens in a data folder whose lock is held, so that a socket found there is a dead one.
pub(crate) fn listen(folder: &Path) -> Result<UnixListener, Failure> {
    let path = socket(folder);
    let fault = |error: std::io::Error| {
        Failure(format!(
            "cannot listen on {}: {error}; a shorter --data-dir may help (a socket's path has at most 107 bytes)",
            path.display()
        ))
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(fault)?;
    // Whoever may write the data folder's files may give commands; nobody else.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
    Ok(listener)
}

/// Answers calls until `stop` is ready, and those under way for [`GRACE`] more.
pub(crate) async fn answer(
    listener: UnixListener,
    node: Arc<Node>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let router = Router::new().route("/call", post(call)).layer(DefaultBodyLimit::max(CALL_BYTES_MAX)).with_state(node);
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        let _ = stopping.send(());
    };
    let served = axum::serve(listener, router).with_graceful_shutdown(stop).into_future();
    let patience = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served.map_err(|error| Failure(format!("the control socket failed: {error}"))),
        () = patience => {
            tracing::warn!("calls that were still under way are cut; what was acknowledged is safe");
            Ok(())
        }
    }
}

async fn call(State(node): State<Arc<Node>>, Json(asked): Json<Asked>) -> Body {
    let (pieces, stream) = mpsc::channel::<Piece>(64);
    tokio::spawn(async move {
        let (events, mut received) = mpsc::channel(64);
        let forward = pieces.clone();
        let forwarding = async move {
            while let Some(event) = received.recv().await {
                // A caller that has gone does not stop what it asked for.
                let _ = forward.send(Piece::Event(event)).await;
            }
        };
        let work = async {
            let done = perform(&node, &asked, &events).await;
            drop(events);
            done
        };
        let (done, ()) = tokio::join!(work, forwarding);
        let last = match done {
            Ok(()) => Piece::Done,
            Err(Failure(text)) => Piece::Failed(text),
        };
        let _ = pieces.send(last).await;
    });
    let bytes = futures::stream::unfold(stream, |mut stream| async {
        let piece = stream.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece.encode()), stream))
    });
    Body::from_stream(bytes)
}
