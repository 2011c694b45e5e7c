//! The provider's thread: its sockets, and the two commands that concern them.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinSet};

use super::config::IdpConfig;
use super::control;
use super::documents::{self, Answer};
use super::error::IdpError;
use super::provider::Provider;

const BACKLOG: u32 = 1024;

/// How long to wait when a connection cannot be accepted (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is known once the ports are open.
pub(super) struct Started {
    pub(super) provider: Arc<Provider>,
    pub(super) control: Option<SocketAddr>,
    pub(super) commands: Commands,
    pub(super) thread: JoinHandle<()>,
}

/// The way into the provider's thread.
#[derive(Clone)]
pub(super) struct Commands(mpsc::UnboundedSender<Command>);

enum Command {
    Down(Reply),
    Up(Reply),
    Stop,
}

/// Takes the outcome back to whoever asked, blocking or async.
type Reply = Box<dyn FnOnce(Result<(), IdpError>) + Send>;

/// Starts the thread, and returns once its ports are open.
pub(super) fn start(config: IdpConfig) -> Result<Started, IdpError> {
    for addr in [Some(config.listen), config.control].into_iter().flatten() {
        if !addr.ip().is_loopback() {
            return Err(IdpError::NotLoopback(addr));
        }
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    let commands = Commands(sender);
    let (ready, opened) = blocking::channel();
    let inside = commands.clone();
    let thread = thread::Builder::new()
        .name("keystead-idp".to_owned())
        .spawn(move || run(config, inside, receiver, &ready))
        .map_err(IdpError::Thread)?;
    let (provider, control) = opened.recv().map_err(|_| IdpError::Stopped)??;
    Ok(Started { provider, control, commands, thread })
}

impl Commands {
    pub(super) fn down(&self) -> Result<(), IdpError> {
        self.ask(Command::Down)
    }

    pub(super) fn up(&self) -> Result<(), IdpError> {
        self.ask(Command::Up)
    }

    pub(super) async fn down_async(&self) -> Result<(), IdpError> {
        self.ask_async(Command::Down).await
    }

    pub(super) async fn up_async(&self) -> Result<(), IdpError> {
        self.ask_async(Command::Up).await
    }

    pub(super) fn stop(&self) {
        // Nobody listens: then it has stopped already.
        let _gone = self.0.send(Command::Stop);
    }

    fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), IdpError> {
        let (sender, receiver) = blocking::channel();
        let reply = Box::new(move |outcome| {
            let _left = sender.send(outcome);
        });
        self.0.send(command(reply)).map_err(|_| IdpError::Stopped)?;
        receiver.recv().map_err(|_| IdpError::Stopped)?
    }

    async fn ask_async(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), IdpError> {
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |outcome| {
            let _left = sender.send(outcome);
        });
        self.0.send(command(reply)).map_err(|_| IdpError::Stopped)?;
        receiver.await.map_err(|_| IdpError::Stopped)?
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commands")
    }
}

type Opened = (Arc<Provider>, Option<SocketAddr>);

/// The thread, from its runtime to its end.
fn run(
    config: IdpConfig,
    commands: Commands,
    receiver: mpsc::UnboundedReceiver<Command>,
    ready: &blocking::Sender<Result<Opened, IdpError>>,
) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    // The one who started this waits for exactly one message, so it is still there.
    match runtime.map_err(IdpError::Thread) {
        Err(error) => {
            let _waiting = ready.send(Err(error));
        }
        Ok(runtime) => runtime.block_on(async {
            match House::open(config, commands) {
                Err(error) => {
                    let _waiting = ready.send(Err(error));
                }
                Ok((house, control)) => {
                    let _waiting = ready.send(Ok((Arc::clone(&house.provider), control)));
                    house.serve(receiver).await;
                }
            }
        }),
    }
}

struct House {
    provider: Arc<Provider>,
    door: Door,
}

/// The provider's port.
enum Door {
    Open(Listening),
    /// A socket that is bound and does not listen: the system refuses whoever connects, and gives
    /// the port to nobody else.
    Closed(Option<TcpSocket>),
}

/// A task that accepts connections until it is told to stop; it hands back those still open.
struct Listening {
    stop: oneshot::Sender<()>,
    task: task::JoinHandle<JoinSet<()>>,
}

impl House {
    fn open(config: IdpConfig, commands: Commands) -> Result<(Self, Option<SocketAddr>), IdpError> {
        let (listener, addr) = listen(bind(config.listen)?, config.listen)?;
        let provider = Arc::new(Provider::new(addr, config.clock, config.realms)?);
        let control = match config.control {
            None => None,
            Some(asked) => {
                let (listener, addr) = listen(bind(asked)?, asked)?;
                open_control(listener, &provider, commands);
                Some(addr)
            }
        };
        let door = Door::Open(open_provider(listener, &provider));
        Ok((Self { provider, door }, control))
    }

    async fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Down(reply) => {
                    self.down().await;
                    reply(Ok(()));
                }
                Command::Up(reply) => reply(self.up()),
                Command::Stop => break,
            }
        }
    }

    async fn down(&mut self) {
        let Door::Open(listening) = std::mem::replace(&mut self.door, Door::Closed(None)) else {
            return;
        };
        self.provider.up.store(false, Ordering::SeqCst);
        let _listening = listening.stop.send(());
        let connections = listening.task.await;
        // At once, before anybody else can be given the port. When that fails, `up` tries again.
        self.door = Door::Closed(bind(self.provider.addr()).ok());
        if let Ok(mut connections) = connections {
            connections.shutdown().await;
        }
    }

    fn up(&mut self) -> Result<(), IdpError> {
        let Door::Closed(held) = &mut self.door else { return Ok(()) };
        let addr = self.provider.addr();
        let socket = match held.take() {
            Some(socket) => socket,
            None => bind(addr)?,
        };
        let (listener, _) = listen(socket, addr)?;
        self.door = Door::Open(open_provider(listener, &self.provider));
        self.provider.up.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn bind(addr: SocketAddr) -> Result<TcpSocket, IdpError> {
    let bound = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections that linger after `down` must not keep the port from `up`. On Windows they do
        // not, and the option means something else there.
        if cfg!(unix) {
            socket.set_reuseaddr(true)?;
        }
        socket.bind(addr)?;
        Ok(socket)
    };
    bound().map_err(|source| IdpError::Bind { addr, source })
}

fn listen(socket: TcpSocket, asked: SocketAddr) -> Result<(TcpListener, SocketAddr), IdpError> {
    let listening = || {
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    listening().map_err(|source| IdpError::Bind { addr: asked, source })
}

fn open_provider(listener: TcpListener, provider: &Arc<Provider>) -> Listening {
    let provider = Arc::clone(provider);
    let (stop, stopped) = oneshot::channel();
    let task = task::spawn(async move {
        let counted = Arc::clone(&provider);
        let connected = move || {
            counted.connections.fetch_add(1, Ordering::SeqCst);
        };
        let answer = move |request: Request<Incoming>| {
            let provider = Arc::clone(&provider);
            async move { documents::answer(&provider, &request) }
        };
        accept(listener, stopped, connected, answer).await
    });
    Listening { stop, task }
}

fn open_control(listener: TcpListener, provider: &Arc<Provider>, commands: Commands) {
    let provider = Arc::clone(provider);
    // It lives as long as the thread: nothing ever stops it earlier.
    task::spawn(async move {
        let (_never, stopped) = oneshot::channel();
        let answer =
            move |request| control::answer(Arc::clone(&provider), commands.clone(), request);
        accept(listener, stopped, || {}, answer).await
    });
}

/// Accepts and serves connections until `stop`; then the port is closed, and what is still open is
/// handed back.
async fn accept<F, A>(
    listener: TcpListener,
    mut stop: oneshot::Receiver<()>,
    connected: impl Fn(),
    answer: F,
) -> JoinSet<()>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return connections,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                connected();
                connections.spawn(serve_connection(stream, answer.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_connection<F, A>(stream: TcpStream, answer: F)
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Answer>,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A client that went away is its own business.
    let _client_left = served;
}
