//! `serve`: an open node that polls its meters and answers its control socket, until it is told to stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ingest::field::{MeterPort, Settings};
use ingest::simulated::SimulatedField;
use tokio::signal::unix::{SignalKind, signal};
use wal::clock::Clock;

use crate::call::{Failure, failed};
use crate::demo;
use crate::door;
use crate::node::Node;
use crate::supply::{SupplySide, ports, simulated};

pub(crate) async fn serve(folder: &Path, simulate: bool) -> Result<(), Failure> {
    Node::must_exist(folder)?;
    let node = Arc::new(Node::open(folder, Clock::live()).await?);
    let listener = door::server::listen(folder)?;
    let real = ports(&node.engine.registry(), node.clock.now())?;
    // Held until the end: dropping it ends its servers.
    let field = if simulate { Some(simulate_field(&node, &real).await?) } else { None };
    let (accounts, meters) = (node.engine.registry().accounts().len(), real.len());
    let side = match &field {
        None => SupplySide::start(&node, real, Settings::default()).await?,
        Some(field) => {
            let places = real.iter().filter_map(|port| Some((port.meter, field.address(port.meter)?))).collect();
            let polled = simulated(real, &places);
            name_buses(&polled);
            SupplySide::start(&node, polled, Settings::default()).await?.on_simulated_buses(places)
        }
    };
    node.attach(side).await;
    println!("serving {}: {accounts} accounts, {meters} meters polled; stop with Ctrl-C", folder.display());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let engine = node.engine.clone();
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // Whatever starts this process again starts billing again: nobody is left dark by a half-dead server.
            () = engine.stopped() => eprintln!("billing has stopped; the server stops too"),
        }
    };
    door::server::answer(listener, Arc::clone(&node), stop).await?;
    // The socket goes first, so that a new command opens the folder itself and waits for the lock's owner to end.
    let _ = std::fs::remove_file(door::socket(folder));
    node.close().await
}

/// Simulated buses take any free ports: a probe must be told which.
fn name_buses(ports: &[MeterPort]) {
    let mut buses: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for port in ports {
        let meter = format!("unit {} {} ({})", port.unit, port.serial, port.profile.name);
        buses.entry(port.port).or_default().push(meter);
    }
    for (port, meters) in buses {
        println!("simulated bus 127.0.0.1:{port}: {}", meters.join(", "));
    }
}

/// Real Modbus TCP servers on loopback in the place of the registry's meters, going on from their last registers.
async fn simulate_field(node: &Node, ports: &[MeterPort]) -> Result<SimulatedField, Failure> {
    if let Some(port) = ports.iter().find(|port| port.host != "localhost" && !port.host.starts_with("127.")) {
        return Err(Failure(format!(
            "--simulate is refused: meter {} is on a real bus, {}:{}; a simulated register must never be billed to it",
            port.serial, port.host, port.port
        )));
    }
    demo::simulate(node).await
}
