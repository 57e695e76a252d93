//! The calling side of the control socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Piece, socket};
use crate::call::{Asked, Events, Failure, failed};

/// A server that listens in a data folder.
pub(crate) struct Server {
    stream: UnixStream,
    folder: PathBuf,
}

/// The server of this folder, if one is listening. A socket that a crash left behind is none.
pub(crate) async fn connect(folder: &Path) -> Option<Server> {
    let stream = UnixStream::connect(socket(folder)).await.ok()?;
    Some(Server { stream, folder: folder.to_path_buf() })
}

impl Server {
    /// Sends a call and passes on its events.
    pub(crate) async fn ask(self, asked: &Asked, events: &Events) -> Result<(), Failure> {
        let gone = |error: hyper::Error| {
            Failure(format!("the server of {} did not answer to the end: {error}; look at its log", self.folder.display()))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.stream)).await.map_err(gone)?;
        let connection = tokio::spawn(connection);
        let body = serde_json::to_vec(asked).map_err(failed)?;
        let request = hyper::Request::post("/call")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(failed)?;
        let mut response = sender.send_request(request).await.map_err(gone)?;
        let status = response.status();
        let mut waiting: Vec<u8> = Vec::new();
        while let Some(frame) = response.frame().await {
            if let Some(data) = frame.map_err(gone)?.data_ref() {
                waiting.extend_from_slice(data);
            }
            if !status.is_success() {
                continue;
            }
            while let Some((piece, length)) = Piece::decode(&waiting) {
                waiting.drain(..length);
                match piece {
                    // Whoever reads the events may have gone; the call goes on.
                    Piece::Event(event) => drop(events.send(event).await),
                    Piece::Done => return Ok(()),
                    Piece::Failed(text) => return Err(Failure(text)),
                }
            }
        }
        connection.abort();
        let said = String::from_utf8_lossy(&waiting).into_owned();
        Err(Failure(format!(
            "the server of {} did not carry out the call ({status}) {said}: look at its log, and use one version for both",
            self.folder.display()
        )))
    }
}
