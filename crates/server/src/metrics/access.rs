use actix_web::guard::GuardContext;
use actix_web::web;

use crate::app::App;

/// Whether a request comes from where metrics may be read. For everybody else there is no such path.
pub fn may_see(request: &GuardContext<'_>) -> bool {
    let Some(app) = request.app_data::<web::Data<App>>() else { return false };
    let address = app.proxies.certain_address_of(request.head());
    address.is_some_and(|address| app.metrics_from.iter().any(|network| network.contains(&address)))
}
