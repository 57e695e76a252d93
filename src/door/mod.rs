//! The control socket: calls go to a running server through a Unix socket in its data folder.
//!
//! One request, `POST /call` with the call as JSON; the answer streams events, each framed as a kind byte, a length of
//! four bytes (little endian) and the payload: `o` output, `e` note, `p` progress as JSON, and last `k` (done) or `x`
//! (failed, with the text). A stream that ends without `k` or `x` is a server that went away.

pub(crate) mod client;
pub(crate) mod server;

use std::path::{Path, PathBuf};

use crate::call::Event;

/// The socket of a data folder.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// The largest call: a site file of some thousand meters is about 1 MB.
const CALL_BYTES_MAX: usize = 64 << 20;

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Event(Event),
    Done,
    Failed(String),
}

impl Piece {
    fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Piece::Event(Event::Output(bytes)) => (b'o', bytes.clone()),
            Piece::Event(Event::Note(text)) => (b'e', text.clone().into_bytes()),
            Piece::Event(Event::Progress { done, total, unit }) => {
                (b'p', serde_json::json!([done, total, unit]).to_string().into_bytes())
            }
            Piece::Done => (b'k', Vec::new()),
            Piece::Failed(text) => (b'x', text.clone().into_bytes()),
        };
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    /// The first piece of `bytes` and its length; `None` while it is not complete.
    fn decode(bytes: &[u8]) -> Option<(Piece, usize)> {
        let (head, rest) = bytes.split_first_chunk::<5>()?;
        let length = usize::try_from(u32::from_le_bytes([head[1], head[2], head[3], head[4]])).ok()?;
        let payload = rest.get(..length)?;
        let text = || String::from_utf8_lossy(payload).into_owned();
        let piece = match head[0] {
            b'o' => Piece::Event(Event::Output(payload.to_vec())),
            b'e' => Piece::Event(Event::Note(text())),
            b'p' => {
                let (done, total, unit) = serde_json::from_slice(payload).unwrap_or_default();
                Piece::Event(Event::Progress { done, total, unit })
            }
            b'k' => Piece::Done,
            b'x' => Piece::Failed(text()),
            kind => Piece::Failed(format!("the server answered with a piece of unknown kind {kind}: use one version for both")),
        };
        Some((piece, 5 + length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_whole_from_any_cut() {
        let pieces = [
            Piece::Event(Event::Output(vec![0, 255, 10])),
            Piece::Event(Event::Note("note".into())),
            Piece::Event(Event::Progress { done: 1, total: 2, unit: "rows".into() }),
            Piece::Failed("no".into()),
            Piece::Done,
        ];
        let bytes: Vec<u8> = pieces.iter().flat_map(Piece::encode).collect();
        let (mut at, mut back) = (0, Vec::new());
        for end in 0..=bytes.len() {
            while let Some((piece, length)) = Piece::decode(&bytes[at..end]) {
                back.push(piece);
                at += length;
            }
        }
        assert_eq!(back, pieces);
    }
}
