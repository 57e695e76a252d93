//! One TCP connection to one bus, with one request in flight.
//!
//! **Promise.** An answer belongs to its request: whenever one is late, lost or does not fit, the connection is dropped
//! and the next request opens another, so that what arrives late arrives nowhere. (The protocol's transaction number
//! and unit are compared as well.)

use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use crate::profile::{ReadFunction, Span, WriteFunction};

/// The connection, open or not.
pub(super) struct Link {
    host: String,
    port: u16,
    timeout: Duration,
    connection: Option<Context>,
}

/// Why a request brought nothing.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    /// Nothing was sent: there is no connection.
    #[error("cannot connect to {host}:{port}: {reason}")]
    Connect {
        /// The bus.
        host: String,
        /// Its port.
        port: u16,
        /// What the system says.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The device, or its gateway, answered with an exception.
    #[error("Modbus exception {code} ({meaning})", code = .0, meaning = exception_meaning(*.0))]
    Exception(u8),
    /// The connection broke, or the answer did not fit the request.
    #[error("broken answer: {0}")]
    Broken(String),
}

/// What a Modbus exception code means, in a few words.
pub(super) fn exception_meaning(code: u8) -> &'static str {
    match code {
        0x01 => "illegal function",
        0x02 => "illegal address",
        0x03 => "illegal value",
        0x04 => "device failure",
        0x05 => "accepted, still working",
        0x06 => "busy",
        0x08 => "memory parity error",
        0x0A => "gateway path unavailable",
        0x0B => "gateway: the device does not answer",
        _ => "vendor code",
    }
}

impl Link {
    pub(super) fn new(host: &str, port: u16, timeout: Duration) -> Link {
        Link { host: host.to_owned(), port, timeout, connection: None }
    }

    /// Opens the connection where it is not.
    pub(super) async fn connect(&mut self) -> Result<(), LinkError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let refused = |reason: String| LinkError::Connect { host: self.host.clone(), port: self.port, reason };
        let stream = match timeout(self.timeout, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(_) => return Err(refused(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        stream.set_nodelay(true).map_err(|error| refused(error.to_string()))?;
        self.connection = Some(tcp::attach(stream));
        Ok(())
    }

    /// Drops the connection; the next request opens another.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Reads the words of `span`. A connection that the other side closed while it was idle is opened again, once.
    pub(super) async fn read(&mut self, unit: u8, function: ReadFunction, span: Span) -> Result<Vec<u16>, LinkError> {
        let used_before = self.connection.is_some();
        match self.read_once(unit, function, span).await {
            Err(LinkError::Broken(_)) if used_before => self.read_once(unit, function, span).await,
            answer => answer,
        }
    }

    async fn read_once(&mut self, unit: u8, function: ReadFunction, span: Span) -> Result<Vec<u16>, LinkError> {
        let request = match function {
            ReadFunction::Holding => Request::ReadHoldingRegisters(span.start, span.words),
            ReadFunction::Input => Request::ReadInputRegisters(span.start, span.words),
        };
        match self.call(unit, request).await? {
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)
                if words.len() == usize::from(span.words) =>
            {
                Ok(words)
            }
            other => Err(self.misfit(&other)),
        }
    }

    /// Writes `words` at `address`. Never tried twice: whether the device obeyed a write that broke is unknown.
    pub(super) async fn write(
        &mut self,
        unit: u8,
        function: WriteFunction,
        address: u16,
        words: &[u16],
    ) -> Result<(), LinkError> {
        let request = match (function, words) {
            (WriteFunction::Single, [word]) => Request::WriteSingleRegister(address, *word),
            _ => Request::WriteMultipleRegisters(address, words.into()),
        };
        match self.call(unit, request).await? {
            Response::WriteSingleRegister(at, word) if at == address && words == [word] => Ok(()),
            Response::WriteMultipleRegisters(at, count) if at == address && usize::from(count) == words.len() => Ok(()),
            other => Err(self.misfit(&other)),
        }
    }

    async fn call(&mut self, unit: u8, request: Request<'_>) -> Result<Response, LinkError> {
        self.connect().await?;
        // Taken out while the request is in flight: if this future is dropped, so is the connection.
        let Some(mut connection) = self.connection.take() else {
            return Err(LinkError::Broken("the connection is gone".to_owned()));
        };
        connection.set_slave(Slave(unit));
        let answer = match timeout(self.timeout, connection.call(request)).await {
            Err(_) => return Err(LinkError::TimedOut(self.timeout)),
            Ok(Err(error)) => return Err(LinkError::Broken(error.to_string())),
            Ok(Ok(answer)) => answer,
        };
        self.connection = Some(connection);
        answer.map_err(|exception: ExceptionCode| LinkError::Exception(exception.into()))
    }

    fn misfit(&mut self, response: &Response) -> LinkError {
        self.connection = None;
        LinkError::Broken(format!("{response:?} does not fit the request"))
    }
}
