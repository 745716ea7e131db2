//! HTTP servers on loopback addresses, each of which says who it is.
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::e2e::http;
use crate::problem::{Attempt, Problem};

/// The header by which an answer tells the server that gave it: `ADDRESS:PORT`.
pub(super) const WHO: &str = "x-upstream";

/// The header with the path that the server was asked for.
pub(super) const PATH: &str = "x-upstream-path";
/// The header with the host that the server was asked for.
pub(super) const HOST: &str = "x-upstream-host";
/// The header of a request that the server refuses with 403 where it says `yes`.
pub(super) const REFUSE: &str = "x-refuse";
/// The header with what the server was told of the client's certificate.
pub(super) const CLIENT: &str = "x-upstream-client";

/// The request header that keeps the request open: the answer begins, and never ends.
pub(super) const HOLD: &str = "x-hold";

/// A server that answers everything alike, but for [`REFUSE`], until it is dropped.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What a server's threads share.
#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    status: u16,
    stopped: AtomicBool,
    asked: AtomicUsize,
}

impl Upstream {
    /// Listens at an address and answers 200; port 0 takes any that is free.
    pub(super) fn start(address: SocketAddr) -> Result<Self, Problem> {
        Self::answering(address, 200)
    }

    /// Listens at an address and answers with a status.
    pub(super) fn answering(address: SocketAddr, status: u16) -> Result<Self, Problem> {
        let what = format!("listen on {address}");
        let listener = TcpListener::bind(address).attempt(&what)?;
        let address = listener.local_addr().attempt(&what)?;
        let (stopped, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { address, status, stopped, asked });
        let theirs = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &theirs));
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// How many requests came in.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // One more connection wakes the thread that waits for the next one.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ended = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(stream) = stream {
            // A client that goes away ends its thread; nobody else minds.
            let shared = Arc::clone(shared);
            std::thread::spawn(move || serve(stream, &shared));
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Shared { address, status, asked, .. } = shared;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = http::read_head(&mut stream)? {
        let length: u64 = head.number("content-length").unwrap_or(0);
        std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink())?;
        let (path, host) = (head.path(), head.header("host").unwrap_or_default());
        let client = head.header("x-forwarded-client-cert").unwrap_or_default();
        let status = if head.header(REFUSE) == Some("yes") { 403 } else { *status };
        asked.fetch_add(1, Ordering::Relaxed);
        // A byte that is promised and not sent keeps the request open until the caller goes away.
        let promised = u8::from(head.header(HOLD).is_some());
        let answer = format!(
            "HTTP/1.1 {status} Said\r\n{WHO}: {address}\r\n{PATH}: {path}\r\n{HOST}: {host}\r\n\
             {CLIENT}: {client}\r\ncontent-length: {promised}\r\n\r\n"
        );
        stream.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::http::{Connection, Request};

    #[test]
    fn a_server_says_who_it_is_and_stops_when_dropped() {
        let upstream = Upstream::start("127.88.0.1:0".parse().unwrap()).unwrap();
        let address = upstream.address;
        let mut connection = Connection::open(address).unwrap();
        for _ in 0..3 {
            let request = Request { method: "POST", host: "x", path: "/" };
            let response = connection.send(&request).unwrap();
            assert_eq!(response.status, 200);
            assert_eq!(response.header(WHO), Some(address.to_string().as_str()));
        }
        drop(upstream);
        assert!(Connection::open(address).is_err());
    }
}
