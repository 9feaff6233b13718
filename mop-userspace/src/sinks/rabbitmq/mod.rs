//! Sink `rabbitmq`: records as persistent messages, each confirmed by the broker.
//!
//! What is confirmed is on disk on the broker, in a queue (quorum queues: on a majority of nodes).
//! What is not confirmed is sent again, so that a message can come twice, never not at all; consumers
//! tell by its `message_id`, which is the record's id. `docs/rabbitmq.md` says what is on the broker
//! and what each trouble means.

mod configuration;
pub(crate) mod connection;
mod courier;
mod errors;
mod message;
mod patience;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod topology;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mop_outbox::Entry;

pub(crate) use configuration::RabbitMqConfiguration;

use self::{
    connection::Link,
    courier::{Answer, Outcome},
    message::Message,
    patience::Patience,
};
use crate::{
    failure::Failure,
    sinks::{Confirmation, Sink, Trouble, Verdict},
};

/// Records to a RabbitMQ.
pub(crate) struct RabbitMqSink {
    configuration: RabbitMqConfiguration,
    node: Box<str>,
    link: Option<Link>,
    patience: Arc<Patience>,
}

impl RabbitMqSink {
    /// For the messages of a node.
    pub(crate) fn new(configuration: &RabbitMqConfiguration, node: &str) -> Result<Self, Failure> {
        configuration
            .check()
            .map_err(|error| Failure::configuration(format!("[sinks.rabbitmq] {error}")))?;
        Ok(Self {
            configuration: configuration.clone(),
            node: node.into(),
            link: None,
            patience: Arc::new(Patience::new(configuration.nack_patience)),
        })
    }
}

impl Sink for RabbitMqSink {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.configuration.takes(&entry.kind)
    }

    fn window(&self) -> usize {
        self.configuration.window
    }

    fn batch(&self) -> usize {
        // Each record is confirmed, returned or refused for itself.
        1
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(async {
            // The old one ends before the new one begins.
            self.link = None;
            self.link = Some(Link::open(&self.configuration, &self.node).await?);
            Ok(())
        })
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        Box::pin(async {
            let max_bytes = (self.configuration.max_message_mib as usize) << 20;
            let mut sent = Vec::with_capacity(batch.len());
            for entry in batch {
                sent.push(match Message::new(entry, &self.node, max_bytes) {
                    Err(reason) => Sent::Never(reason),
                    Ok(message) => {
                        let Some(link) = &mut self.link else {
                            return Err(Trouble::passing("lost", "there is no connection"));
                        };
                        let id = message.id.clone();
                        Sent::Out { id, answer: link.courier.publish(message).await? }
                    }
                });
            }
            let patience = Arc::clone(&self.patience);
            let confirmation: Confirmation = Box::pin(async move {
                let mut verdicts = Vec::with_capacity(sent.len());
                for sent in sent {
                    verdicts.push(sent.verdict(&patience).await?);
                }
                Ok(verdicts)
            });
            Ok(confirmation)
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(link) = self.link.take() {
                link.close().await;
            }
        })
    }
}

/// What a record waits for.
enum Sent {
    /// For nothing: the broker would never take it.
    Never(&'static str),
    Out {
        id: Box<str>,
        answer: Answer,
    },
}

impl Sent {
    async fn verdict(self, patience: &Patience) -> Result<Verdict, Trouble> {
        let (id, answer) = match self {
            Self::Never(reason) => return Ok(Verdict::Parked(reason)),
            Self::Out { id, answer } => (id, answer),
        };
        // Nobody answers any more when the connection was dropped.
        let outcome = answer.await.unwrap_or_else(|_dropped| {
            Err(Trouble::passing("lost", "the connection was given up"))
        })?;
        Ok(match outcome {
            Outcome::Acked => {
                patience.taken(&id);
                Verdict::Delivered
            }
            Outcome::Nacked if patience.ends(&id) => Verdict::Parked("nacked"),
            Outcome::Nacked => Verdict::Again("nacked"),
            Outcome::Returned => Verdict::Parked("unroutable"),
        })
    }
}
