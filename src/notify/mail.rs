//! Mail over SMTP.

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::response::{Category, Response};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};
use tracing::warn;

use super::http::limits;
use super::{Channel, DEADLINE, Limits, Message, SendError};
use crate::base::chain::chain;
use crate::base::scrub::scrubbed;
use crate::config::{SmtpConfig, SmtpSecurity};
use crate::model::ErrorClass;

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    secrets: Vec<String>,
}

impl Mail {
    pub(super) fn new(config: &SmtpConfig) -> Result<Self, SendError> {
        let address = |text: &str| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|e| SendError::lasting(format!("`{text}` is not a mail address: {e}")))
        };
        let failed = |e: Error| SendError::lasting(chain(&e).to_string());
        let mut builder = match config.security {
            SmtpSecurity::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host),
            SmtpSecurity::StartTls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&config.host).map_err(failed)?
            }
            SmtpSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&config.host).map_err(failed)?,
        }
        .port(config.port);
        let mut secrets = Vec::new();
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
            secrets.push(password.expose().clone());
        }
        Ok(Self {
            transport: builder.build(),
            from: address(&config.from)?,
            to: config.to.iter().map(|to| address(to)).collect::<Result<_, _>>()?,
            secrets,
        })
    }

    /// To all at once, or if one of them is refused, which ends that try for all, to each.
    async fn deliver(&self, letter: &Letter) -> Result<String, SendError> {
        let (envelope, text) = (letter.envelope(), letter.formatted());
        let refused = match self.transport.send_raw(envelope, &text).await {
            Ok(answer) => return Ok(self.said(&answer)),
            Err(e) if envelope.to().len() > 1 && is_refusal(&e) => self.failed(&e),
            Err(e) => return Err(self.failed(&e)),
        };
        let (mut told, mut failed) = (None, Vec::new());
        for to in envelope.to() {
            let Ok(alone) = Envelope::new(envelope.from().cloned(), vec![to.clone()]) else { continue };
            match self.transport.send_raw(&alone, &text).await {
                Ok(answer) => told = Some(self.said(&answer)),
                Err(e) => failed.push((to, self.failed(&e))),
            }
        }
        let Some(told) = told else {
            return Err(failed.into_iter().map(|(_, e)| e).find(|e| !e.lasting).unwrap_or(refused));
        };
        let mut all = vec![told];
        for (to, e) in failed {
            warn!(recipient = %to, error = %e, "one recipient of a mail was refused, the others got it");
            all.push(format!("not to {to}: {e}"));
        }
        Ok(all.join("; "))
    }

    fn said(&self, answer: &Response) -> String {
        let said = answer.message().collect::<Vec<_>>().join(" ");
        scrubbed(&format!("{} {said}", answer.code()), &self.secrets)
    }

    fn failed(&self, e: &Error) -> SendError {
        let said = scrubbed(&chain(e).to_string(), &self.secrets);
        let class = match () {
            () if e.is_tls() => ErrorClass::Tls,
            () if e.is_timeout() => ErrorClass::Timeout,
            // The server has answered, and said no: for ever, or for now.
            () if e.is_permanent() || e.is_transient() => ErrorClass::BodyRule,
            () if e.is_response() || e.is_client() => ErrorClass::Protocol,
            () => ErrorClass::Connect,
        };
        let error = if e.is_permanent() { SendError::lasting(said) } else { SendError::passing(said) };
        error.of_class(class)
    }

    fn letter(&self, message: &Message) -> Result<Letter, SendError> {
        let mut letter = Letter::builder().from(self.from.clone()).subject(message.title.as_str());
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        let letter = letter.header(ContentType::TEXT_PLAIN).body(format!("{}\n", message.text));
        letter.map_err(|e| SendError::lasting(chain(&e).to_string()))
    }
}

/// Whether the server has refused something about this mail, rather than whoever sends it: a password that is wrong for
/// all is not tried for each.
fn is_refusal(e: &Error) -> bool {
    e.status().is_some_and(|code| matches!(code.category, Category::Syntax | Category::MailSystem))
}

#[async_trait]
impl Channel for Mail {
    fn limits(&self) -> Limits {
        limits(3, 10)
    }

    async fn send(&self, message: &Message) -> Result<String, SendError> {
        let letter = self.letter(message)?;
        // The transport's own time limit covers only the connect phase.
        let late = |_| {
            let error = SendError::passing("the mail server did not finish within 20 s".to_owned());
            Err(error.of_class(ErrorClass::Timeout))
        };
        tokio::time::timeout(DEADLINE, self.deliver(&letter)).await.unwrap_or_else(late)
    }
}
