//! A small service without tokio, one thread for each connection:
//! `cargo run --example blocking --no-default-features --features aws-lc,ureq -- https://auth.example orders`, with the
//! issuer and the audience.
//!
//! `GET /` wants a token with the scope `orders:read`. What speaks HTTP here is as little as will do; in its place stands
//! whatever a service has.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use attesto_verifier::{Error as Denied, Verifier, bearer_token};
use serde::Deserialize;

/// The longest head of a request.
const MAX_HEAD: u64 = 32 * 1024;

/// What this service wants to know of a token beyond what every token has.
#[derive(Deserialize)]
struct Claims {
    name: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [issuer, audience] = arguments.as_slice() else {
        return Err("give the issuer and the audience".into());
    };
    let verifier = Verifier::builder(issuer)
        .audience(audience)
        .on_event(|event| eprintln!("{event}"))
        .build_blocking()?;
    if let Err(error) = verifier.ready_blocking(Duration::from_secs(10)) {
        eprintln!("{error}: answering 503 until it can be reached");
    }

    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    for connection in listener.incoming() {
        let (connection, verifier) = (connection?, verifier.clone());
        thread::spawn(move || serve(connection, &verifier));
    }
    Ok(())
}

fn serve(mut connection: TcpStream, verifier: &Verifier) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let authorization = authorization(&connection)?;
    let answer = match orders(&authorization, verifier) {
        Ok(body) => answer("200 OK", "", &body),
        Err(denied) => refusal(&denied),
    };
    connection.write_all(answer.as_bytes())
}

/// The handler: a thread may wait for the key of a token that is newer than the keys it knows.
fn orders(authorization: &[String], verifier: &Verifier) -> Result<String, Denied> {
    let token = bearer_token(authorization.iter().map(String::as_bytes))?;
    let user = verifier.verify_blocking::<Claims>(token)?;
    user.require_scope("orders:read")?;
    let name = user.claims.name.as_deref().unwrap_or(user.std.subject());
    Ok(format!("the orders of {name}\n"))
}

fn refusal(denied: &Denied) -> String {
    let challenge = denied.www_authenticate("orders").map(|value| format!("www-authenticate: {value}\r\n"));
    answer(&denied.status().to_string(), &challenge.unwrap_or_default(), &format!("{denied}\n"))
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// The values of all headers `Authorization`.
fn authorization(connection: &TcpStream) -> io::Result<Vec<String>> {
    let mut values = Vec::new();
    for line in BufReader::new(connection).take(MAX_HEAD).lines().skip(1) {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("authorization") {
            values.push(value.trim().to_owned());
        }
    }
    Ok(values)
}
