//! How the real program ends.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt;

use support::{Server, exchange, token};

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start("drain: 0s");
        server.signal(signal);
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        let received = format!("SIG{signal} received");
        let (drain, stop) = (log.find(&received).unwrap(), log.find("server.stop").unwrap());
        assert!(drain < stop);
        assert!(TcpStream::connect(server.public).is_err(), "nobody listens any more");
    }
}

/// While it drains it says that it is not ready, and still answers.
#[test]
fn a_draining_server_is_not_ready_and_serves_on() {
    let mut server = Server::start("drain: 10m");
    assert_eq!(server.get("/readyz", &[]).status, 200);
    server.signal("TERM");
    server.line(|line| line["event"] == "server.drain");
    // The line is written just before readiness changes.
    let draining = loop {
        let answer = server.get("/readyz", &[]);
        if answer.status == 503 {
            break answer;
        }
    };
    assert_eq!(draining.body, "draining\n");
    assert!(server.admin("/readyz").body.starts_with("draining\n"));
    assert_eq!(server.get("/livez", &[]).status, 200);
    assert_eq!(server.forward("good").status, 200);
    // The second signal does not wait for the ten minutes.
    server.signal("TERM");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("stopped at once"), "{log}");
}

#[test]
fn a_request_in_flight_is_answered() {
    let mut server = Server::start("drain: 0s");
    let body = format!("{{\"token\":\"{}\"}}", token("good"));
    let mut stream = TcpStream::connect(server.public).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/verify HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    // "100 Continue" comes when the body is asked for: the request is in flight.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    std::io::Read::read_exact(&mut stream, &mut vec![0; go_on.len()]).unwrap();
    server.signal("TERM");
    server.line(|line| line["event"] == "server.drain");
    // It is read to its end: the server closes a connection that the client would keep.
    let answer = exchange(stream, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.ended().0.code(), Some(0));
}

#[test]
fn a_socket_file_goes_with_the_server() {
    let mut server = Server::start("drain: 0s\nadmin_listen: unix:$FOLDER/admin.sock");
    let path = server.folder.path().join("admin.sock");
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
    server.signal("TERM");
    assert_eq!(server.ended().0.code(), Some(0));
    assert!(!path.exists());
}
