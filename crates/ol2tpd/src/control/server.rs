//! The daemon's half of the control API.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pppol2tp::{Driver, Errno, SessionSocket, TunnelSocket};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::listener::Listener;
use super::message::{Failure, Reply, Request, Set};
use super::view::Report;
use crate::notice::Notice;
use crate::serve::Control;
use crate::sockets::Sockets;

/// The longest request in bytes.
const LINE: usize = 64 * 1024;
/// The most connections at a time; others wait.
const CONNECTIONS: usize = 64;

/// Who answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Does what is asked.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Report, Failure>> + Send;

    /// What happens from now on, if anything ever does.
    fn events(&self) -> Option<broadcast::Receiver<Arc<Notice>>>;
}

/// Static sessions. Fields are dropped in this order.
pub(crate) struct Context {
    pub(crate) sockets: Sockets,
    pub(crate) driver: Arc<dyn Driver>,
    /// Why it is that one.
    pub(crate) why: String,
}

impl Handler for Context {
    async fn handle(&self, request: Request) -> Result<Report, Failure> {
        match request {
            Request::Show(what) => Ok(Report::new(what, &*self.driver, &self.why)),
            Request::Set(set) => {
                let session = set.session_id.and_then(|id| self.sockets.session(set.tunnel_id, id));
                apply(&set, self.sockets.tunnel(set.tunnel_id), session).map(|()| Report::default())
            }
            Request::Disconnect(_) | Request::Events => Err(failure(
                Errno::NoSys,
                "this ol2tp runs a static session: it has no control protocol. End it with SIGTERM",
            )),
        }
    }

    fn events(&self) -> Option<broadcast::Receiver<Arc<Notice>>> {
        None
    }
}

/// Accepts connections and answers on them.
pub(crate) struct Server {
    listener: Option<UnixListener>,
    controller: Option<UnixStream>,
    connections: JoinSet<()>,
    /// Removes the socket's file.
    _file: Option<Listener>,
}

impl Server {
    pub(crate) fn new(control: Control) -> io::Result<Self> {
        let listener = match &control.listener {
            Some(listener) => Some(UnixListener::from_std(listener.socket.try_clone()?)?),
            None => None,
        };
        let controller = match control.controller {
            Some(stream) => {
                stream.set_nonblocking(true)?;
                Some(UnixStream::from_std(stream)?)
            }
            None => None,
        };
        Ok(Self { listener, controller, connections: JoinSet::new(), _file: control.listener })
    }

    /// Answers until the controlling connection ends; for ever without one.
    pub(crate) async fn serve<H: Handler>(&mut self, handler: &Arc<H>) {
        let controller = self.controller.take();
        let controlled = async {
            match controller {
                Some(stream) => converse(stream, Arc::clone(handler)).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(controlled);
        loop {
            let room = self.connections.len() < CONNECTIONS;
            tokio::select! {
                () = &mut controlled => return,
                Some(_) = self.connections.join_next() => {}
                accepted = accept(self.listener.as_ref()), if room => match accepted {
                    Ok(stream) => {
                        self.connections.spawn(converse(stream, Arc::clone(handler)));
                    }
                    // Out of descriptors or memory, which nothing tells the end of.
                    Err(error) => {
                        warn!("control socket: accepting a connection: {error}; next try in a second");
                        sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
    }

    /// Ends all connections: no task is left that could hold the sockets.
    pub(crate) async fn close(mut self) {
        self.connections.shutdown().await;
    }
}

async fn accept(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn converse<H: Handler>(stream: UnixStream, handler: Arc<H>) {
    if let Err(error) = try_converse(stream, &*handler).await {
        debug!("control connection: {error}");
    }
}

async fn try_converse<H: Handler>(mut stream: UnixStream, handler: &H) -> io::Result<()> {
    let (input, mut output) = stream.split();
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE as u64 + 1;
        if (&mut input).take(limit).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let too_long = line.len() > LINE;
        let request = if too_long {
            Err(failure(Errno::MsgSize, format!("a request has more than {LINE} bytes")))
        } else {
            serde_json::from_slice(&line)
                .map_err(|error| failure(Errno::Inval, format!("cannot understand the request: {error}")))
        };
        let events = match request {
            Ok(Request::Events) => handler.events(),
            _ => None,
        };
        let reply = match request {
            Ok(Request::Events) if events.is_some() => Ok(Report::default()),
            Ok(request) => handler.handle(request).await,
            Err(failure) => Err(failure),
        };
        let reply = reply.map_or_else(Reply::Error, |report| Reply::Ok(Box::new(report)));
        write_line(&mut output, &reply).await?;
        if let Some(events) = events {
            return stream_events(events, &mut input, &mut output).await;
        }
        if too_long {
            return Ok(());
        }
    }
}

async fn write_line(output: &mut WriteHalf<'_>, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    output.write_all(&text).await
}

/// Writes what happens until the client has gone. Who reads too slowly is told how much he missed.
async fn stream_events(
    mut events: broadcast::Receiver<Arc<Notice>>,
    input: &mut BufReader<ReadHalf<'_>>,
    output: &mut WriteHalf<'_>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            ended = input.fill_buf() => match ended? {
                [] => return Ok(()),
                bytes => {
                    let len = bytes.len();
                    input.consume(len);
                }
            },
            event = events.recv() => match event {
                Ok(notice) => write_line(output, &*notice).await?,
                Err(RecvError::Lagged(missed)) => write_line(output, &Notice::Missed { missed }).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// Sets the options of a session if the request names one, else of the tunnel.
pub(crate) fn apply(
    set: &Set,
    tunnel: Option<&dyn TunnelSocket>,
    session: Option<&dyn SessionSocket>,
) -> Result<(), Failure> {
    let tunnel_id = set.tunnel_id;
    let missing = |what: String| failure(Errno::NoEnt, format!("there is no {what} here"));
    let set_option: &dyn Fn(_, _) -> pppol2tp::Result<()> = match set.session_id {
        None => {
            let tunnel = tunnel.ok_or_else(|| missing(format!("tunnel {tunnel_id}")))?;
            &move |option, value| tunnel.set(option, value)
        }
        Some(session_id) => {
            let missing = || missing(format!("session {session_id} in a tunnel {tunnel_id}"));
            let session = session.ok_or_else(missing)?;
            &move |option, value| session.set(option, value)
        }
    };
    let mut done = Vec::new();
    for (name, option, value) in set.options() {
        if let Err(error) = set_option(option, value) {
            let before =
                if done.is_empty() { String::new() } else { format!("; {} was set", done.join(", ")) };
            return Err(failure(error.errno(), format!("{name}={value}: {error}{before}")));
        }
        done.push(name);
    }
    Ok(())
}

pub(crate) fn failure(errno: Errno, message: impl Into<String>) -> Failure {
    Failure { errno: errno.name().into(), message: message.into() }
}
