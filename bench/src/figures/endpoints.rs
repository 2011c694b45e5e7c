//! Requests per second of the two endpoints that judge tokens, as a part of what a server on the
//! same HTTP library does that answers without looking.

use keystead_bench::tokens;
use keystead_testkit::SigningKey;

use crate::figure::Figure;
use crate::load::Face;
use crate::rounds::interleaved;
use crate::served::{CORE, Served, hello, needs_wrk};
use crate::server::{Cache, Server};
use crate::{Bench, Result, provider};

const ROUNDS: usize = 8;
const TOKENS: usize = 1000;
const CACHED_BAR: f64 = 0.75;
const UNCACHED_BAR: f64 = 0.17;
const ISSUER: &str = "https://files.test.example";

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    needs_wrk()?;
    let folder = tempfile::tempdir()?;
    let key = SigningKey::fixed_rsa(0)?;
    let tokens = tokens::many(ISSUER, &key, TOKENS)?;
    let server = |cache: Cache| -> Result<Server> {
        let files = provider::with_file("files", ISSUER, &key, &folder.path().join("key.json"))?;
        let server = Server::start_with(bench, cache.settings(), &[files], CORE)?;
        server.wait_for(tokens.first().ok_or("no token")?)?;
        Ok(server)
    };
    let (uncached, cached) = (server(Cache::Off)?, server(Cache::Default)?);
    let forward_auth = at_face(Face::ForwardAuth, "forward_auth", &uncached, &cached, &tokens)?;
    let verify = at_face(Face::Verify, "verify", &uncached, &cached, &tokens)?;
    Ok([forward_auth, verify].concat())
}

fn at_face(
    face: Face,
    name: &str,
    uncached: &Server,
    cached: &Server,
    tokens: &[String],
) -> Result<Vec<Figure>> {
    let (hello, hello_at) = hello()?;
    // One token is enough for who does not read it, and lets wrk be faster than the server.
    let one = tokens.get(..1).unwrap_or_default();
    let mut hello = Served::new(hello.id(), hello_at, face, one);
    let mut uncached = Served::new(uncached.id(), uncached.public, face, tokens);
    let mut cached = Served::new(cached.id(), cached.public, face, tokens);
    let [of_hello, of_uncached, of_cached] = interleaved(
        ROUNDS,
        [Box::new(|| hello.round()), Box::new(|| uncached.round()), Box::new(|| cached.round())],
    )?;
    let hello = hello.cost(of_hello);
    let named = |rest| format!("endpoints.{name}_{rest}_of_hello");
    Ok(vec![
        uncached.cost(of_uncached).times(named("uncached"), &hello).at_least(UNCACHED_BAR),
        cached.cost(of_cached).times(named("cached"), &hello).at_least(CACHED_BAR),
    ])
}
