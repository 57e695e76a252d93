//! The Modbus side of a simulated bus: requests in, words or exceptions out.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use kernel::reading::Contact;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};
use wal::clock::Clock;

use super::meter::Device;
use super::{Lie, Shared, SimulatedError, encode, lock};
use crate::profile::{ReadFunction, WriteFunction};

/// Takes a port of 127.0.0.1.
pub(super) async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), SimulatedError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let fault = |source| SimulatedError::Port { address, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}

/// Serves a bus until the handle is aborted.
pub(super) fn serve(listener: TcpListener, units: BTreeMap<u8, Shared>, clock: Clock) -> JoinHandle<()> {
    let bus = Arc::new(Bus { units, clock });
    tokio::spawn(async move {
        let connected = |stream: TcpStream, _: SocketAddr| {
            let bus = Arc::clone(&bus);
            async move {
                stream.set_nodelay(true)?;
                Ok(Some((bus, stream)))
            }
        };
        let broken = |error: std::io::Error| tracing::debug!(%error, "simulated bus: connection ended");
        if let Err(error) = Server::new(listener).serve(&connected, broken).await {
            tracing::warn!(%error, "simulated bus stopped");
        }
    })
}

struct Bus {
    units: BTreeMap<u8, Shared>,
    clock: Clock,
}

/// An answer; none where the request is lost.
type Answer = Result<Option<Response>, ExceptionCode>;

impl Service for Bus {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn call(&self, request: SlaveRequest<'static>) -> Self::Future {
        let Some(shared) = self.units.get(&request.slave) else {
            // As behind a serial gateway: nobody is there to answer.
            return Box::pin(std::future::ready(Ok(None)));
        };
        let mut device = lock(shared);
        device.advance(self.clock.now());
        device.count_request();
        let lie = device.lie();
        let answer = match lie {
            Some(Lie::Drop) => Ok(None),
            Some(Lie::Exception(code)) => Err(ExceptionCode::new(code)),
            _ => answer(&mut device, &request.request).map(Some),
        };
        Box::pin(async move {
            if let Some(Lie::Delay(late)) = lie {
                tokio::time::sleep(late).await;
            }
            answer
        })
    }
}

fn answer(device: &mut Device, request: &Request<'_>) -> Result<Response, ExceptionCode> {
    let reads = device.profile().read_function;
    match (request, reads) {
        (Request::ReadHoldingRegisters(start, count), ReadFunction::Holding) => {
            read(device, *start, *count).map(Response::ReadHoldingRegisters)
        }
        (Request::ReadInputRegisters(start, count), ReadFunction::Input) => {
            read(device, *start, *count).map(Response::ReadInputRegisters)
        }
        (Request::WriteSingleRegister(address, word), _) => {
            write(device, WriteFunction::Single, *address, &[*word])?;
            Ok(Response::WriteSingleRegister(*address, *word))
        }
        (Request::WriteMultipleRegisters(address, words), _) => {
            write(device, WriteFunction::Multiple, *address, words)?;
            let count = u16::try_from(words.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
            Ok(Response::WriteMultipleRegisters(*address, count))
        }
        _ => Err(ExceptionCode::IllegalFunction),
    }
}

/// Words from `start`; gaps between known registers read as zero, but a range begins and ends in one.
fn read(device: &mut Device, start: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
    if !(1..=125).contains(&count) {
        return Err(ExceptionCode::IllegalDataValue);
    }
    let last = start.checked_add(count - 1).ok_or(ExceptionCode::IllegalDataAddress)?;
    let billed = (start..=last).contains(&device.profile().billing.register.address);
    let count = if billed { device.shown_count() } else { device.count() };
    let image = encode::image(device, count);
    if !image.contains_key(&start) || !image.contains_key(&last) {
        return Err(ExceptionCode::IllegalDataAddress);
    }
    Ok((start..=last).map(|address| image.get(&address).copied().unwrap_or(0)).collect())
}

/// Only the relay's words are taken.
fn write(device: &mut Device, function: WriteFunction, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
    let relay = device.profile().relay.as_ref().filter(|relay| relay.address == address);
    let relay = relay.ok_or(ExceptionCode::IllegalDataAddress)?;
    if relay.write_function != function {
        return Err(ExceptionCode::IllegalFunction);
    }
    let target = [Contact::Open, Contact::Closed].into_iter().find(|target| relay.words(*target) == words);
    device.obey(target.ok_or(ExceptionCode::IllegalDataValue)?);
    Ok(())
}
