//! The services that the crate brings as examples, protected from those who have logged out.

use std::net::{SocketAddr, TcpListener};
use std::thread::spawn;

use actix_web::rt::System;
use actix_web::{App, HttpServer};
use attesto_verifier::VerifierBuilder;
use tokio::runtime::Runtime;

use super::builder;
use crate::authority::Authority;
use crate::http::{Answer, Connection};
use crate::process::until;

#[path = "../../../../verifier/examples/actix.rs"]
mod on_actix;

#[path = "../../../../verifier/examples/axum.rs"]
#[expect(dead_code, reason = "`main` reads the command line")]
mod on_axum;

#[test]
fn the_examples_refuse_who_has_logged_out() {
    let authority = Authority::dev().with("ATTESTO_SIMPLEJWT_SCOPE", "orders:read");
    let server = authority.start();
    let services = [("axum", serve_on_axum as fn(_, _)), ("actix", serve_on_actix)];
    for (name, serve) in services {
        let (verifier, listener) = (builder(&server), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        // Until the tests are over.
        spawn(move || serve(verifier, listener));
        let [pair, other] = [server.sign_in(), server.sign_in()];
        until("it is ready", || (ask(address, "GET /health", "").status == 200).then_some(()));

        let answer = ask(address, "GET /orders", &pair.access);
        assert!(answer.status == 200 && answer.body.starts_with("the orders of "), "{name}: {answer:?}");
        let refused = ask(address, "POST /orders", &pair.access);
        assert_eq!(refused.status, 403, "{name}: {refused:?}");
        assert!(
            refused.header("www-authenticate").unwrap().contains("scope=\"orders:write\""),
            "{refused:?}"
        );

        assert_eq!(server.blacklist(&pair.refresh).status, 200);
        let refused = until("it refuses the token", || {
            Some(ask(address, "GET /orders", &pair.access)).filter(|answer| answer.status != 200)
        });
        assert_eq!(refused.status, 401, "{name}: {refused:?}");
        assert!(
            refused.header("www-authenticate").unwrap().contains("error=\"invalid_token\""),
            "{refused:?}"
        );
        assert_eq!(ask(address, "GET /orders", &other.access).status, 200, "{name}");
    }
}

fn serve_on_axum(verifier: VerifierBuilder, listener: TcpListener) {
    Runtime::new().unwrap().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, on_axum::service(verifier.build().unwrap())).await.unwrap();
    });
}

fn serve_on_actix(verifier: VerifierBuilder, listener: TcpListener) {
    System::new().block_on(async {
        let verifier = verifier.build().unwrap();
        let app = move || App::new().configure(on_actix::service(verifier.clone()));
        HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run().await.unwrap();
    });
}

fn ask(address: SocketAddr, request: &str, token: &str) -> Answer {
    let request = format!("{request} HTTP/1.1\r\nhost: orders\r\nauthorization: Bearer {token}\r\n\r\n");
    Connection::open(address).unwrap().ask(&request).unwrap()
}
