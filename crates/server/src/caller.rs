use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use attesto_core::{Actor, AuditEvent, Digest, Event, Instant};
use tracing_actix_web::RequestId;

use crate::app::App;

/// Who sends a request, as far as that can be told.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where it comes from.
    pub address: IpAddr,
    agent: String,
    request_id: String,
}

impl Caller {
    /// A digest of address and agent, to notice a retry from elsewhere.
    pub fn digest(&self) -> Digest {
        Digest::of(format!("{} {}", self.address, self.agent).as_bytes())
    }

    /// An audit event that this caller brings about.
    pub fn event(&self, event: Event, at: Instant) -> AuditEvent {
        let actor = Actor::Request { address: self.address.to_string(), request_id: self.request_id.clone() };
        AuditEvent::new(event, actor, at)
    }
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proxies = request.app_data::<web::Data<App>>().map(|app| app.proxies.clone()).unwrap_or_default();
        let agent = request.headers().get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        ready(Ok(Self {
            address: proxies.address_of(request),
            agent: agent.unwrap_or_default().into_owned(),
            request_id: request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default(),
        }))
    }
}
