//! The daemon's half of the control API.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pppol2tp::{Driver, Errno};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::listener::Listener;
use super::message::{Failure, Reply, Request, Set};
use super::view::Report;
use crate::serve::Control;
use crate::sockets::Sockets;

/// The longest request in bytes.
const LINE: usize = 64 * 1024;
/// The most connections at a time; others wait.
const CONNECTIONS: usize = 64;

/// What requests work on. Fields are dropped in this order.
pub(crate) struct Context {
    pub(crate) sockets: Sockets,
    pub(crate) driver: Arc<dyn Driver>,
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
    pub(crate) async fn serve(&mut self, context: &Arc<Context>) {
        let controller = self.controller.take();
        let controlled = async {
            match controller {
                Some(stream) => converse(stream, Arc::clone(context)).await,
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
                        self.connections.spawn(converse(stream, Arc::clone(context)));
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

async fn converse(stream: UnixStream, context: Arc<Context>) {
    if let Err(error) = try_converse(stream, &context).await {
        debug!("control connection: {error}");
    }
}

async fn try_converse(mut stream: UnixStream, context: &Context) -> io::Result<()> {
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
        let reply = if too_long {
            Err(failure(Errno::MsgSize, format!("a request has more than {LINE} bytes")))
        } else {
            answer(&line, context)
        };
        let reply = reply.map_or_else(Reply::Error, |report| Reply::Ok(Box::new(report)));
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        output.write_all(&text).await?;
        if too_long {
            return Ok(());
        }
    }
}

fn answer(line: &[u8], context: &Context) -> Result<Report, Failure> {
    let request = serde_json::from_slice(line)
        .map_err(|error| failure(Errno::Inval, format!("cannot understand the request: {error}")))?;
    match request {
        Request::Show(what) => Ok(Report::new(what, &context.driver.snapshot())),
        Request::Set(set) => apply(&set, &context.sockets).map(|()| Report::default()),
    }
}

fn apply(set: &Set, sockets: &Sockets) -> Result<(), Failure> {
    let tunnel_id = set.tunnel_id;
    let set_option: &dyn Fn(_, _) -> pppol2tp::Result<()> = match set.session_id {
        None => {
            let tunnel = sockets
                .tunnel(tunnel_id)
                .ok_or_else(|| failure(Errno::NoEnt, format!("there is no tunnel {tunnel_id} here")))?;
            &move |option, value| tunnel.set(option, value)
        }
        Some(session_id) => {
            let session = sockets.session(tunnel_id, session_id).ok_or_else(|| {
                failure(
                    Errno::NoEnt,
                    format!("there is no session {session_id} in a tunnel {tunnel_id} here"),
                )
            })?;
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

fn failure(errno: Errno, message: String) -> Failure {
    Failure { errno: errno.name().into(), message }
}
