//! A small HTTP/1.1 client: enough for Envoy's admin interface and for counting answers.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::problem::{Attempt, Problem};

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    pub(super) host: &'r str,
    pub(super) path: &'r str,
}

/// The lines before the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Head {
    first: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// The path of a request's first line.
    pub(super) fn path(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|got| got.eq_ignore_ascii_case(value))
    }
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Response {
    pub(super) status: u16,
    head: Head,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

/// A connection that stays open from request to request.
#[derive(Debug)]
pub(super) struct Connection<S = TcpStream>(BufReader<S>);

/// Longer than anything on a loopback address takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, Problem> {
        let what = format!("connect to {address}");
        let stream = TcpStream::connect_timeout(&address, PATIENCE).attempt(&what)?;
        stream.set_read_timeout(Some(PATIENCE)).attempt(&what)?;
        stream.set_nodelay(true).attempt(&what)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The address that the connection comes from.
    pub(super) fn local_address(&self) -> Result<SocketAddr, Problem> {
        self.0.get_ref().local_addr().attempt("tell the address of a connection")
    }
}

impl<S: Read + Write> Connection<S> {
    /// Speaks over a stream that is open.
    pub(super) fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, request: &Request<'_>) -> Result<Response, Problem> {
        self.send_with(request, &[])
    }

    /// Asks with more headers.
    pub(super) fn send_with(
        &mut self,
        request: &Request<'_>,
        headers: &[(String, String)],
    ) -> Result<Response, Problem> {
        self.write(request, headers)?;
        read_response(&mut self.0).attempt(format!("ask for {}", request.path))
    }

    /// Asks, and waits for no more than the beginning of the answer. Nothing else can be asked on this
    /// connection.
    pub(super) fn begin(
        &mut self,
        request: &Request<'_>,
        headers: &[(String, String)],
    ) -> Result<Response, Problem> {
        self.write(request, headers)?;
        read_beginning(&mut self.0).attempt(format!("ask for {}", request.path))
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        headers: &[(String, String)],
    ) -> Result<(), Problem> {
        let Request { method, host, path } = request;
        let more: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{more}content-length: 0\r\n\r\n");
        let what = format!("ask for {path} of {host}");
        self.0.get_mut().write_all(text.as_bytes()).attempt(&what)
    }
}

/// Asks once, on a connection of its own.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<Response, Problem> {
    Connection::open(address)?.send(&Request { method: "GET", host: "admin", path })
}

/// Reads the lines up to the empty one; none at the end of the stream.
pub(super) fn read_head(stream: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let mut head = Head::default();
    if stream.read_line(&mut head.first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(head));
        }
        if let Some((name, value)) = line.split_once(':') {
            head.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// An answer without its body.
fn read_beginning(stream: &mut impl BufRead) -> Result<Response, Problem> {
    let head = read_head(stream).attempt("read the answer")?;
    let head = head.ok_or_else(|| Problem::new("the connection was closed"))?;
    let status = head.first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Problem(format!("`{}` is no answer", head.first.trim())))?;
    Ok(Response { status, head, body: Vec::new() })
}

fn read_response(stream: &mut impl BufRead) -> Result<Response, Problem> {
    let Response { status, head, mut body } = read_beginning(stream)?;
    if head.is("transfer-encoding", "chunked") {
        while read_chunk(stream, &mut body)? {}
    } else if let Some(length) = head.number("content-length") {
        stream.take(length).read_to_end(&mut body).attempt("read the body")?;
    } else if head.is("connection", "close") {
        stream.read_to_end(&mut body).attempt("read the body")?;
    }
    Ok(Response { status, head, body })
}

/// False after the last chunk.
fn read_chunk(stream: &mut impl BufRead, body: &mut Vec<u8>) -> Result<bool, Problem> {
    let mut line = String::new();
    stream.read_line(&mut line).attempt("read a chunk")?;
    let digits = line.trim().split(';').next().unwrap_or_default();
    let length = u64::from_str_radix(digits, 16).attempt(format!("read `{digits}` as a length"))?;
    stream.take(length).read_to_end(body).attempt("read a chunk")?;
    stream.read_line(&mut String::new()).attempt("read a chunk's end")?;
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, status: u16, body: &str) {
        let response = read_response(&mut text.as_bytes()).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (status, body.as_bytes()));
    }

    #[test]
    fn bodies_end_by_length_by_chunk_or_with_the_connection() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP", 200, "ab");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            200,
            "abc",
        );
        check("HTTP/1.1 503 No\r\nconnection: close\r\n\r\nall of it", 503, "all of it");
        check("HTTP/1.1 403 Forbidden\r\n\r\n", 403, "");
    }

    #[test]
    fn what_is_no_answer_is_a_problem() {
        assert!(read_response(&mut "".as_bytes()).is_err());
        assert!(read_response(&mut "SSH-2.0\r\n\r\n".as_bytes()).is_err());
    }
}
