//! A server that is checked: it keeps each check until it is told what to do with it.
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::story::Answer;
use crate::e2e::http;
use crate::e2e::upstream::WHO;
use crate::problem::{Attempt, Problem};
use crate::process;

/// The path of a check.
pub(super) const PATH: &str = "/check";
/// The header of a request whose answer asks to fail the host.
pub(super) const FAIL: &str = "x-fail";
/// What an answer says to that end.
const FAILED: &str = "x-envoy-immediate-health-check-fail: true\r\n";

/// What to do with a check.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Answer(Answer),
    Break,
    /// Nothing, until the caller gives up.
    Silence,
}

/// A server on a loopback address, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// When each check came.
    arrivals: Receiver<Instant>,
    orders: Sender<Order>,
    stopped: Arc<AtomicBool>,
}

/// What the connections of a server share.
#[derive(Debug)]
struct Desk {
    address: SocketAddr,
    arrivals: Sender<Instant>,
    orders: Mutex<Receiver<Order>>,
}

impl Server {
    pub(super) fn start(address: SocketAddr) -> Result<Self, Problem> {
        let listener = TcpListener::bind(address).attempt(format!("listen on {address}"))?;
        let (tell, arrivals) = channel();
        let (orders, take) = channel();
        let desk = Arc::new(Desk { address, arrivals: tell, orders: Mutex::new(take) });
        let stopped = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stopped);
        std::thread::spawn(move || {
            let streams = listener.incoming().take_while(|_| !theirs.load(Ordering::Relaxed));
            for stream in streams.flatten() {
                let desk = Arc::clone(&desk);
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        Ok(Self { address, arrivals, orders, stopped })
    }

    /// Waits for the next check, which is then kept.
    pub(super) fn wait(&self, limit: Duration) -> Result<Instant, Problem> {
        let arrival = self.arrivals.recv_timeout(limit);
        arrival.attempt(format!("see {} checked within {limit:?}", self.address))
    }

    /// Has the check that is kept dealt with.
    pub(super) fn order(&self, order: Order) -> Result<(), Problem> {
        self.orders.send(order).attempt(format!("tell {} what to do", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // One more connection wakes the thread that waits for the next one.
        let _woken = TcpStream::connect(self.address);
    }
}

impl Desk {
    /// Serves a connection until it ends; who waits for an answer then gets none.
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some(head) = http::read_head(&mut stream)? {
            let answer = if head.path() == PATH {
                match self.keep() {
                    Some(Order::Answer(answer)) => answer,
                    Some(Order::Silence) => continue,
                    Some(Order::Break) | None => return Ok(()),
                }
            } else {
                Answer { status: 200, degraded: false, fails: head.header(FAIL).is_some() }
            };
            let Answer { status, degraded, fails } = answer;
            let degraded = if degraded { "x-envoy-degraded: true\r\n" } else { "" };
            let failed = if fails { FAILED } else { "" };
            let who = self.address;
            let text = format!(
                "HTTP/1.1 {status} Said\r\n{WHO}: {who}\r\n{degraded}{failed}content-length: 0\r\n\r\n"
            );
            stream.get_mut().write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Tells that a check has come and waits for the order; none when the story is over.
    fn keep(&self) -> Option<Order> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        self.arrivals.send(process::now()).ok()?;
        orders.recv().ok()
    }
}
