use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// What the feed has done since the server started.
pub struct Counts {
    answers: Family<[(&'static str, &'static str); 1], Counter>,
    bytes: Counter,
    signatures: Counter,
}

/// What an answer tells whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Everything, because that was asked for, or because the position was none of this feed.
    Snapshot,
    /// What is new.
    News,
    /// That there is nothing new.
    Idle,
}

impl Content {
    const ALL: [Self; 3] = [Self::Snapshot, Self::News, Self::Idle];

    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::News => "news",
            Self::Idle => "idle",
        }
    }
}

impl Counts {
    /// Nothing yet, of every kind.
    pub fn new() -> Self {
        let counts =
            Self { answers: Family::default(), bytes: Counter::default(), signatures: Counter::default() };
        for content in Content::ALL {
            counts.answers_with(content);
        }
        counts
    }

    /// An answer of so many bytes was begun.
    pub fn answered(&self, content: Content, bytes: usize) {
        self.answers_with(content).inc();
        self.bytes.inc_by(bytes as u64);
    }

    /// An answer was signed.
    pub fn signed(&self) {
        self.signatures.inc();
    }

    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let answers = "Answers of the feed with a body, by what they tell";
        registry.register("feed_answers", answers, self.answers.clone());
        let bytes = "Bytes of the bodies of answers of the feed as they were sent";
        registry.register_with_unit("feed_answer", bytes, Unit::Bytes, self.bytes.clone());
        registry.register("feed_signatures", "Answers of the feed that were signed", self.signatures.clone());
    }

    fn answers_with(&self, content: Content) -> Counter {
        self.answers.get_or_create_owned(&[("kind", content.as_str())])
    }
}
