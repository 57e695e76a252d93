//! An open data folder with its doors: what every command works on.

use std::path::{Path, PathBuf};

use engine::book::BookError;
use engine::engine::{Engine, Handle, Options};
use engine::query::{self, QuerySession};
use engine::registry::{MeterKind, Registry};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ingest::intake::{self, Intake, Log, LogError, MeterDirectory, MeterRef, Meters};
use kernel::batch::Payload;
use kernel::id::Seq;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wal::Appender;
use wal::clock::Clock;

use crate::call::{Failure, failed};
use crate::supply::SupplySide;

/// Memory that the statements of one query may hold, in MiB; beyond it they go on on disk or fail.
/// `METERLEDGER_QUERY_MIB` sets another.
const QUERY_MIB: usize = 1_024;

fn query_bytes() -> usize {
    let set = std::env::var("METERLEDGER_QUERY_MIB").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(QUERY_MIB) << 20
}

/// An open data folder.
pub(crate) struct Node {
    pub(crate) folder: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) engine: Handle,
    pub(crate) intake: Intake,
    pub(crate) query: QuerySession,
    directory: MeterDirectory,
    open: Mutex<Option<Engine>>,
    side: Mutex<Option<SupplySide>>,
}

/// The log as the doors see it.
struct Durable(Appender);

impl Log for Durable {
    fn append(&self, payload: Payload) -> BoxFuture<'_, Result<Seq, LogError>> {
        async move { self.0.append(payload).await.map_err(|error| Box::new(error) as LogError) }.boxed()
    }
}

impl Node {
    /// Whether somebody applied a site here: every other command needs one, and a mistyped folder has none.
    pub(crate) fn must_exist(folder: &Path) -> Result<(), Failure> {
        if folder.join(engine::book::FILE).exists() {
            return Ok(());
        }
        Err(failed(BookError::Missing(folder.to_path_buf())))
    }

    /// Opens the folder, which must not be open elsewhere.
    pub(crate) async fn open(folder: &Path, clock: Clock) -> Result<Node, Failure> {
        Node::open_with(folder, clock.clone(), Options::new(clock).settle_every).await
    }

    /// The same with another time between two settlements.
    pub(crate) async fn open_with(folder: &Path, clock: Clock, settle_every: Duration) -> Result<Node, Failure> {
        let options = Options { clock: clock.clone(), settle_every };
        let engine = Engine::open(folder, options).await.map_err(failed)?;
        let handle = engine.handle();
        let directory = MeterDirectory::new(meters(&handle.registry())?);
        let intake = Intake::new(Arc::new(Durable(engine.appender())), directory.clone(), clock.clone());
        let options =
            query::Options { target_partitions: None, memory_bytes: Some(query_bytes()), joins_as_written: false };
        let query = QuerySession::new(Arc::new(handle.clone()), options).map_err(failed)?;
        let open = Mutex::new(Some(engine));
        Ok(Node {
            folder: folder.to_path_buf(),
            clock,
            engine: handle,
            intake,
            query,
            directory,
            open,
            side: Mutex::new(None),
        })
    }

    /// Gives the node its running field.
    pub(crate) async fn attach(&self, side: SupplySide) {
        *self.side.lock().await = Some(side);
    }

    /// Stops the field; the node stays open.
    pub(crate) async fn stop_side(&self) {
        if let Some(side) = self.side.lock().await.take() {
            side.stop().await;
        }
    }

    /// Lets the doors know the meters of the registry of now.
    pub(crate) async fn registry_changed(&self) -> Result<(), Failure> {
        let registry = self.engine.registry();
        self.directory.replace(meters(&registry)?);
        match self.side.lock().await.as_ref() {
            Some(side) => side.configure(&registry, self.clock.now()).await,
            None => Ok(()),
        }
    }

    /// Settles and closes; a second call does nothing.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        self.stop_side().await;
        match self.open.lock().await.take() {
            Some(engine) => engine.close().await.map_err(failed),
            None => Ok(()),
        }
    }
}

fn meters(registry: &Registry) -> Result<Meters, Failure> {
    let all = registry.meters().map(|meter| MeterRef {
        id: meter.id,
        serial: meter.serial.to_string(),
        utility: meter.utility,
        kind: match meter.kind {
            MeterKind::Register => intake::MeterKind::Register,
            MeterKind::Usage => intake::MeterKind::Usage,
        },
        resolution_numerator: meter.resolution.0,
        resolution_denominator: meter.resolution.1,
        measured: registry.measured_in(meter),
    });
    Meters::new(all.collect()).map_err(failed)
}
