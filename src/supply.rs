//! The node's field: polled meters into the intake, control's commands out to the buses, notices out to webhooks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::billing::supply::Doors;
use engine::control::outbox::{self, Deliver};
use engine::registry::{Meter, Registry};
use futures::{StreamExt as _, stream};
use ingest::field::{Field, FieldEvent, MeterPort, Settings};
use ingest::intake::Intake;
use ingest::profile;
use kernel::control::FieldCommand;
use kernel::id::MeterId;
use kernel::reading::{Observation, Seen};
use kernel::time::{MINUTE, Moment};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::call::{Failure, failed};
use crate::node::Node;

/// Field events that wait for the intake (256 rows each at most).
const EVENTS: usize = 256;
/// Submissions that wait for the disk together.
const SUBMISSIONS: usize = 64;
/// Commands that wait for the field: one open and one read for each meter at most.
const COMMANDS: usize = 65_536;
/// Notices under way.
const DELIVERIES: usize = 256;
/// How long a webhook may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Meters are polled this often where the site file says nothing.
const POLL: i64 = MINUTE;

/// Where each simulated meter answers in the place of the real one.
pub(crate) type Places = BTreeMap<MeterId, (SocketAddr, u8)>;

/// The running field of a node, with control.
pub(crate) struct SupplySide {
    field: Arc<Field>,
    tasks: Vec<JoinHandle<()>>,
    /// The buses are those of the registry when there are none.
    simulated: Option<Places>,
}

/// The meters of the registry that are on a bus; not those that were taken out, in whose place another may answer.
pub(crate) fn ports(registry: &Registry, now: Moment) -> Result<Vec<MeterPort>, Failure> {
    let taken_out = |meter: &Meter| {
        let mut epochs = registry.epochs_of(meter.id).peekable();
        epochs.peek().is_some() && epochs.all(|epoch| epoch.valid_to.is_some_and(|end| end <= now))
    };
    registry
        .meters()
        .filter(|meter| !taken_out(meter))
        .filter_map(|meter| {
            let ((host, port), unit) = (meter.bus.clone()?, meter.unit?);
            Some(profile::find(&meter.profile).map_err(failed).map(|profile| MeterPort {
                meter: meter.id,
                serial: meter.serial.to_string(),
                profile,
                host: host.to_string(),
                port,
                unit,
                poll_every: meter.poll_micros.unwrap_or(POLL),
            }))
        })
        .collect()
}

/// The same meters where their simulations are. One that has none is left out: nobody else may answer for it.
pub(crate) fn simulated(ports: Vec<MeterPort>, places: &Places) -> Vec<MeterPort> {
    let place = |port: MeterPort| match places.get(&port.meter) {
        Some((address, unit)) => {
            Some(MeterPort { host: address.ip().to_string(), port: address.port(), unit: *unit, ..port })
        }
        None => {
            tracing::warn!(meter = %port.serial, "new meters are not simulated before the server is started again");
            None
        }
    };
    ports.into_iter().filter_map(place).collect()
}

impl SupplySide {
    /// Starts polling these meters, and control.
    pub(crate) async fn start(node: &Node, ports: Vec<MeterPort>, settings: Settings) -> Result<SupplySide, Failure> {
        let (out, events) = mpsc::channel(EVENTS);
        let (field_commands, commands) = mpsc::channel(COMMANDS);
        let (items, due) = mpsc::channel(DELIVERIES);
        let (done, delivered) = mpsc::channel(DELIVERIES);
        let field = Arc::new(Field::start(ports, node.clock.clone(), out, settings).map_err(failed)?);
        let doors = Doors { field: field_commands, items, delivered };
        node.engine.start_control(doors).await.map_err(failed)?.map_err(failed)?;
        let tasks = vec![
            tokio::spawn(take_events(node.intake.clone(), events)),
            tokio::spawn(pass_commands(Arc::clone(&field), node.intake.clone(), node.clock.clone(), commands)),
            tokio::spawn(async move { outbox::run(due, done, Arc::new(Webhook)).await }),
        ];
        Ok(SupplySide { field, tasks, simulated: None })
    }

    /// From now on a changed registry says what is polled and how often, and these places say where.
    pub(crate) fn on_simulated_buses(self, places: Places) -> SupplySide {
        SupplySide { simulated: Some(places), ..self }
    }

    /// Polls what the registry says now.
    pub(crate) async fn configure(&self, registry: &Registry, now: Moment) -> Result<(), Failure> {
        let ports = ports(registry, now)?;
        let ports = match &self.simulated {
            Some(places) => simulated(ports, places),
            None => ports,
        };
        self.field.configure(ports).await.map_err(failed)
    }

    /// Stops polling; commands that are under way are verified after the next start.
    pub(crate) async fn stop(self) {
        let SupplySide { field, mut tasks, .. } = self;
        // The task that passes commands holds the field too.
        let passing = tasks.remove(1);
        passing.abort();
        let _ = passing.await;
        if let Some(field) = Arc::into_inner(field) {
            field.shutdown().await;
        }
        for task in tasks {
            task.abort();
        }
    }
}

/// Submits what the field sees, in order and without waiting for each: what waits shares one fsync. A log that does not
/// take it stops the polling behind it.
async fn take_events(intake: Intake, mut events: mpsc::Receiver<FieldEvent>) {
    let intake = &intake;
    // Submissions that are first polled in an order are numbered in it, and `buffered` polls them in theirs.
    let mut submitted = stream::poll_fn(|context| events.poll_recv(context))
        .map(|event| async move {
            match event {
                FieldEvent::Readings(batch) => intake.submit(batch).await.map(|taken| taken.refused.len()),
                FieldEvent::Observations(seen) => intake.observe(seen).await.map(|taken| taken.refused.len()),
            }
        })
        .buffered(SUBMISSIONS);
    while let Some(refused) = submitted.next().await {
        match refused {
            Ok(0) => {}
            Ok(refused) => tracing::warn!(refused, "rows from the field were refused"),
            Err(error) => {
                tracing::error!(%error, "the log does not take what the field sees; polling stops");
                return;
            }
        }
    }
}

/// Passes control's commands on. One that cannot be taken is reported as not sent, so that its state is left.
async fn pass_commands(
    field: Arc<Field>,
    intake: Intake,
    clock: wal::clock::Clock,
    mut commands: mpsc::Receiver<FieldCommand>,
) {
    while let Some(command) = commands.recv().await {
        if let Err(error) = field.command(command) {
            tracing::warn!(%error, "a command was not taken by the field");
            if let FieldCommand::Write { command, meter, .. } = command {
                let seen = Observation { meter, time: clock.now(), seen: Seen::NotSent(command) };
                if let Err(error) = intake.observe(vec![seen]).await {
                    tracing::error!(%error, "the log does not take what became of a command");
                }
            }
        }
    }
}

/// Posts notices as JSON.
struct Webhook;

#[async_trait]
impl Deliver for Webhook {
    async fn post(&self, url: &str, body: &str) -> Result<(), String> {
        let (url, body) = (url.to_owned(), body.to_owned());
        let send = move || {
            let agent = ureq::Agent::config_builder().timeout_global(Some(WEBHOOK_TIMEOUT)).build().new_agent();
            agent.post(&url).header("content-type", "application/json").send(body).map(drop)
        };
        match tokio::task::spawn_blocking(send).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        }
    }
}
