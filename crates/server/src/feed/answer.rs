use std::io::Write as _;
use std::sync::Arc;

use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::once::Once;
use crate::unavailable::Unavailable;

/// Below this, compression saves no packet.
const WORTH_COMPRESSING: usize = 1400;

/// A signed answer, and its compressed form if somebody wants that.
pub struct Answer {
    jws: Bytes,
    gzip: Once<Bytes>,
}

impl Answer {
    /// Not compressed yet.
    pub fn new(jws: String) -> Self {
        Self { jws: jws.into(), gzip: Once::new() }
    }

    /// As it is.
    pub fn plain(&self) -> Bytes {
        self.jws.clone()
    }

    /// Compressed, if that is worth it.
    pub async fn gzip(self: &Arc<Self>) -> Result<Option<Bytes>, Unavailable> {
        if self.jws.len() < WORTH_COMPRESSING {
            return Ok(None);
        }
        let plain = self.plain();
        self.gzip.get(move || compressed(&plain)).await.map(Some)
    }
}

fn compressed(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes what is written").into()
}
