use std::sync::OnceLock;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::spawn_blocking;

use crate::unavailable::Unavailable;

/// Something that is made once, off the async threads, for everybody who asks. It goes on being made when the first
/// who asked hangs up.
pub struct Once<T: Clone>(OnceLock<Shared<BoxFuture<'static, Option<T>>>>);

impl<T: Clone + Send + Sync + 'static> Once<T> {
    /// Not asked for yet.
    pub fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Makes it, or waits for who does.
    pub async fn get(&self, make: impl FnOnce() -> T + Send + 'static) -> Result<T, Unavailable> {
        let answer = self.0.get_or_init(|| spawn_blocking(make).map(Result::ok).boxed().shared());
        answer.clone().await.ok_or(Unavailable::Cancelled)
    }
}
