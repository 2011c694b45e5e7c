//! The provider's thread: its ports, and the commands that concern them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::config::{IdpConfig, Transport};
use super::connections::{Listening, open_control, open_provider};
use super::error::IdpError;
use super::provider::Provider;
use super::tls::Certificates;

const BACKLOG: u32 = 1024;

/// How often it is looked whether the port is to be closed or opened, while a fault may want that.
const TICK: Duration = Duration::from_millis(20);

/// What is known once the ports are open.
pub(super) struct Started {
    pub(super) provider: Arc<Provider>,
    pub(super) control: Option<SocketAddr>,
    pub(super) ca: Option<String>,
    pub(super) commands: Commands,
    pub(super) thread: JoinHandle<()>,
}

/// The way into the provider's thread.
#[derive(Clone)]
pub(super) struct Commands(mpsc::UnboundedSender<Command>);

enum Command {
    Down(Reply),
    Up(Reply),
    Heal(Reply),
    /// The orders have changed: does one of them close the port?
    Settle(Reply),
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
    let Opened { provider, control, ca } = opened.recv().map_err(|_| IdpError::Stopped)??;
    Ok(Started { provider, control, ca, commands, thread })
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

    pub(super) fn heal(&self) -> Result<(), IdpError> {
        self.ask(Command::Heal)
    }

    pub(super) async fn heal_async(&self) -> Result<(), IdpError> {
        self.ask_async(Command::Heal).await
    }

    pub(super) fn settle(&self) -> Result<(), IdpError> {
        self.ask(Command::Settle)
    }

    pub(super) async fn settle_async(&self) -> Result<(), IdpError> {
        self.ask_async(Command::Settle).await
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

struct Opened {
    provider: Arc<Provider>,
    control: Option<SocketAddr>,
    ca: Option<String>,
}

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
                Ok((house, opened)) => {
                    let _waiting = ready.send(Ok(opened));
                    house.serve(receiver).await;
                }
            }
        }),
    }
}

struct House {
    provider: Arc<Provider>,
    certificates: Option<Arc<Certificates>>,
    door: Door,
    told: Told,
}

/// What the commands say about the port; a fault may close it all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Up,
    Down,
}

/// The provider's port.
enum Door {
    Open(Listening),
    /// A socket that is bound and does not listen: the system refuses whoever connects, and gives
    /// the port to nobody else.
    Closed(Option<TcpSocket>),
}

impl House {
    fn open(config: IdpConfig, commands: Commands) -> Result<(Self, Opened), IdpError> {
        let (listener, addr) = listen(bind(config.listen)?, config.listen)?;
        let asked_control = config.control;
        let certificates = match config.transport {
            Transport::PlainHttp => None,
            Transport::Tls => Some(Arc::new(Certificates::new()?)),
        };
        let provider = Arc::new(Provider::new(addr, config)?);
        let control = match asked_control {
            None => None,
            Some(asked) => {
                let (listener, addr) = listen(bind(asked)?, asked)?;
                open_control(listener, &provider, commands);
                Some(addr)
            }
        };
        let opened = Opened {
            provider: Arc::clone(&provider),
            control,
            ca: certificates.as_ref().map(|certificates| certificates.ca.clone()),
        };
        let door = Door::Open(open_provider(listener, &provider, certificates.clone()));
        Ok((Self { provider, certificates, door, told: Told::Up }, opened))
    }

    async fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        // A script may begin with a closed port; nothing can be in its way yet.
        let _open = self.settle().await;
        loop {
            let moves = self.provider.schedule().moves_the_port();
            let command = tokio::select! {
                command = commands.recv() => command,
                () = tokio::time::sleep(TICK), if moves => {
                    // What cannot be opened now is tried again with the next tick.
                    let _tried = self.settle().await;
                    continue;
                }
            };
            match command {
                None | Some(Command::Stop) => return,
                Some(Command::Settle(reply)) => reply(self.settle().await),
                Some(Command::Down(reply)) => {
                    self.told = Told::Down;
                    reply(self.settle().await);
                }
                Some(Command::Up(reply)) => {
                    self.told = Told::Up;
                    let now = self.provider.monotonic();
                    self.provider.schedule().lift_down(now);
                    reply(self.settle().await);
                }
                Some(Command::Heal(reply)) => {
                    self.told = Told::Up;
                    self.provider.schedule().clear();
                    reply(self.settle().await);
                }
            }
        }
    }

    /// Opens or closes the port as commands and faults want it.
    async fn settle(&mut self) -> Result<(), IdpError> {
        let now = self.provider.monotonic();
        if self.told == Told::Down || self.provider.schedule().is_down(now) {
            self.down().await;
            return Ok(());
        }
        self.up()
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
        let certificates = self.certificates.clone();
        self.door = Door::Open(open_provider(listener, &self.provider, certificates));
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
